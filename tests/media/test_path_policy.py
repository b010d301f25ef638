"""Where files may be read: links, dots and races do not lead out, and a refusal tells nothing but what opens it."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media import local_files
from databricks_responses_mcp.media.images_in import load_image
from databricks_responses_mcp.media.input_files import FileLimits, read_file, read_files
from databricks_responses_mcp.media.path_policy import EVERYTHING, AllowedPaths, default_roots

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a file, beside a file that is none of its business."""
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.txt").write_text("inside\n")
    (tmp_path / "secret.txt").write_text("outside\n")
    (tmp_path / "project-of-another").mkdir()
    (tmp_path / "project-of-another" / "a.txt").write_text("outside\n")
    return root


async def refusal(root: Path, reference: str) -> str:
    with pytest.raises(BridgeError) as caught:
        await read_file(reference, FileLimits(1000), base=root, allowed=AllowedPaths([root]))
    assert caught.value.code is ErrorCode.PERMISSION_DENIED
    assert caught.value.__cause__ is None
    return str(caught.value).replace(str(root.parent), "…")


async def test_what_is_under_an_allowed_directory_is_read_by_every_name_it_has(project: Path) -> None:
    names = [
        "src/a.txt",
        str(project / "src" / "a.txt"),
        (project / "src" / "a.txt").as_uri(),
        "src/../src/./a.txt",
        "src/a.txt:1-1",
        "../project/src/a.txt",
    ]
    allowed = AllowedPaths([project])
    for name in names:
        assert (await read_file(name, FileLimits(1000), base=project, allowed=allowed)).text == "inside\n"
    # Together they are one file, and a range of it.
    files = await read_files(names, FileLimits(1000), base=project, allowed=allowed)
    assert [(file.name, file.first_line) for file in files] == [("src/a.txt", None), ("src/a.txt", 1)]


@pytest.mark.parametrize(
    "reference",
    [
        "../secret.txt",
        "src/../../secret.txt",
        "nothing/../../secret.txt",
        "../project-of-another/a.txt",
        "../secret.txt:1-2",
        "../secret.txt#L1",
        "..",
        "/",
        "~",
        "file:///etc/hostname",
    ],
)
async def test_a_path_outside_the_allowed_directories_is_refused(project: Path, reference: str) -> None:
    assert "may not be used: it is not under …" in await refusal(project, reference)


async def test_a_refusal_names_the_path_the_allowed_directories_and_the_setting(project: Path) -> None:
    assert await refusal(project, "../secret.txt") == snapshot(
        "“../secret.txt” may not be used: it is not under …/project. "
        "Add its directory to RESPONSES_MCP_ALLOWED_DIRS, or copy it to an allowed one."
    )


@pytest.mark.parametrize("suffix", ["", ":1-2", ":1", "#L7", "/x", "/../y"])
async def test_a_refusal_does_not_tell_whether_the_file_exists(project: Path, suffix: str) -> None:
    there, absent = await refusal(project, f"../secret.txt{suffix}"), await refusal(project, f"../absent.txt{suffix}")
    assert there == absent.replace("absent", "secret")


async def test_a_missing_file_inside_is_still_told_with_advice(project: Path) -> None:
    with pytest.raises(BridgeError, match=r"Did you mean a\.txt") as caught:
        await read_file("src/b.txt", FileLimits(9), base=project, allowed=AllowedPaths([project]))
    assert caught.value.code is ErrorCode.NOT_FOUND


@posix
async def test_links_that_stay_inside_are_followed_and_links_that_leave_are_not(project: Path) -> None:
    (project / "inward").symlink_to("src/a.txt")
    (project / "outward").symlink_to(project.parent / "secret.txt")
    (project / "up").symlink_to("..")
    (project / "dangling").symlink_to(project.parent / "absent.txt")
    allowed = AllowedPaths([project])
    assert (await read_file("inward", FileLimits(99), base=project, allowed=allowed)).text == "inside\n"
    for name in ("outward", "up/secret.txt", "dangling", "up/project/../secret.txt", "outward:1-1"):
        assert "it is not under" in await refusal(project, name)


@posix
async def test_an_allowed_directory_may_itself_be_a_link(project: Path) -> None:
    alias = project.parent / "alias"
    alias.symlink_to(project)
    for root, path in ((alias, project / "src/a.txt"), (project, alias / "src/a.txt"), (alias, alias / "src/a.txt")):
        file = await read_file(str(path), FileLimits(99), allowed=AllowedPaths([root]))
        assert file.text == "inside\n"


@posix
async def test_a_circle_of_links_is_an_error_and_not_the_end(project: Path) -> None:
    (project / "a").symlink_to("b")
    (project / "b").symlink_to("a")
    with pytest.raises(BridgeError, match="cannot be opened"):
        await read_file("a", FileLimits(99), base=project, allowed=AllowedPaths([project]))


@posix
@pytest.mark.parametrize("part", ["file", "folder"])
def test_a_link_created_between_check_and_open_is_not_followed(project: Path, part: str) -> None:
    class Racing(AllowedPaths):
        """Swaps what was checked before it is opened, which is what an attacker would try."""

        def check(self, path: Path, reference: str) -> Path:
            real = super().check(path, reference)
            if part == "file":
                (project / "src" / "a.txt").unlink()
                (project / "src" / "a.txt").symlink_to(project.parent / "secret.txt")
            else:
                (project / "src").rename(project / "moved")
                (project / "src").symlink_to(project.parent / "project-of-another")
            return real

    with pytest.raises(BridgeError) as caught:
        Racing([project]).open(project / "src" / "a.txt", "src/a.txt")
    assert caught.value.code in (ErrorCode.INVALID_ARGUMENT, ErrorCode.NOT_FOUND)


@posix
def test_where_there_are_no_directory_handles_what_was_opened_is_compared(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databricks_responses_mcp.media.path_policy._WALKS", False)
    file, size = AllowedPaths([project]).open(project / "src" / "a.txt", "a")
    with file:
        assert (size, file.read()) == (7, b"inside\n")

    def swapping(path: Path, reference: str) -> object:
        path.unlink()
        path.symlink_to(project.parent / "secret.txt")
        return local_files.open_regular(path, reference)

    monkeypatch.setattr("databricks_responses_mcp.media.path_policy.open_regular", swapping)
    with pytest.raises(BridgeError, match="it is not under"):
        AllowedPaths([project]).open(project / "src" / "a.txt", "a")


async def test_an_allowed_file_may_be_named_alone(project: Path) -> None:
    only = AllowedPaths([project / "src" / "a.txt"])
    assert (await read_file("src/a.txt", FileLimits(99), base=project, allowed=only)).text == "inside\n"
    with pytest.raises(BridgeError, match="it is not under"):
        await read_file("src", FileLimits(99), base=project, allowed=only)


async def test_pictures_keep_to_it_and_data_urls_have_nothing_to_do_with_it(
    project: Path, picture: Callable[..., bytes]
) -> None:
    (project / "in.png").write_bytes(picture())
    (project.parent / "out.png").write_bytes(picture())
    allowed = AllowedPaths([project])
    inside = await load_image("in.png", max_bytes=9999, base=project, allowed=allowed)
    again = await load_image(inside.url, max_bytes=9999, allowed=AllowedPaths([]))
    assert again.url == inside.url
    for reference in ("../out.png", (project.parent / "out.png").as_uri()):
        with pytest.raises(BridgeError, match="RESPONSES_MCP_ALLOWED_DIRS"):
            await load_image(reference, max_bytes=9999, base=project, allowed=allowed)


async def test_without_any_allowed_directory_the_advice_is_to_name_one(project: Path) -> None:
    with pytest.raises(BridgeError) as caught:
        await read_file("src/a.txt", FileLimits(99), base=project, allowed=AllowedPaths([]))
    assert str(caught.value) == snapshot(
        "“src/a.txt” may not be used: this server may use no local files where it was started. Set "
        "RESPONSES_MCP_ALLOWED_DIRS to the directories that it may use, or start it in a project's directory."
    )


async def test_everything_means_everything(project: Path) -> None:
    file = await read_file(str(project.parent / "secret.txt"), FileLimits(99), allowed=EVERYTHING)
    assert (file.text, EVERYTHING.also(project)) == ("outside\n", EVERYTHING)


def test_the_default_is_a_projects_directory_and_no_general_one(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "homes" / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "homes" / "me"))
    (tmp_path / "homes" / "me" / "code").mkdir(parents=True)
    found = {}
    for place in (
        project,
        Path(project.anchor),
        tmp_path / "homes" / "me",
        tmp_path / "homes",
        tmp_path / "homes" / "me" / "code",
        Path(tempfile.gettempdir()),
    ):
        monkeypatch.chdir(place)
        found[place.name] = [root.name for root in default_roots()]
    assert found == {
        "project": ["project"],
        "": [],
        "me": [],
        "homes": [],
        "code": ["code"],
        Path(tempfile.gettempdir()).name: [],
    }


@posix
def test_a_working_directory_that_is_gone_allows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert default_roots() == ()
