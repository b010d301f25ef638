"""The pages of hosts: one each, with the file that ``install`` writes, and pictures that are there and small."""

import re
from pathlib import Path

import pytest
from PIL import Image

from databricks_responses_mcp.cli.launch_command import SignIn
from databricks_responses_mcp.cli.registration import Order, install
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registry import HOSTS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "hosts"
PICTURES = ROOT / "docs" / "pictures"
SECTIONS = ["In one step", "Check that it works", "Tools and prompts", "Limits", "Good to know", "By hand"]
MAX_BYTES = 150_000

each_host = pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.key)


def shown_file(host: Host) -> str:
    """The file that a host's page shows."""
    text = (PAGES / f"{host.key}.md").read_text(encoding="utf-8")
    [shown] = re.findall(rf"^```{host.format}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(shown)


def test_each_host_has_a_page_and_nothing_else_has() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {"README", *(host.key for host in HOSTS)}


@each_host
def test_a_page_says_how_to_get_in_how_to_see_it_and_what_to_expect(host: Host) -> None:
    text = (PAGES / f"{host.key}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert text.startswith(f"# {host.title}\n")


@each_host
def test_the_file_that_a_page_shows_is_what_install_writes_and_what_is_shipped(host: Host, tmp_path: Path) -> None:
    sign_in = SignIn({"DATABRICKS_CONFIG_PROFILE": "DEFAULT"})
    done = install(host, Machine("linux", tmp_path, {}), Order(sign_in=sign_in))
    assert shown_file(host).rstrip() == done.file.read_text(encoding="utf-8").rstrip()
    [shipped] = re.findall(r"\[ready file\]\(([^)]*)\)", (PAGES / f"{host.key}.md").read_text(encoding="utf-8"))
    assert shown_file(host).rstrip() == (PAGES / shipped).read_text(encoding="utf-8").rstrip()


def test_every_picture_is_shown_somewhere_with_words_for_those_who_do_not_see_it() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {
        (page.parent / target).resolve(): words
        for page in pages
        for words, target in re.findall(r"!\[([^]]*)\]\(([^):]*\.png)\)", page.read_text(encoding="utf-8"))
    }
    assert sorted(shown) == sorted(PICTURES.glob("*.png"))
    assert [picture.name for picture, words in shown.items() if len(words) < 20] == []


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.png")), ids=lambda path: path.name)
def test_a_picture_is_whole_and_small(picture: Path) -> None:
    assert picture.stat().st_size < MAX_BYTES
    with Image.open(picture) as opened:
        opened.load()
        assert min(opened.size) > 100
