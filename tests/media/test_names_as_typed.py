"""Names as people type and copy them: as macOS writes them, and paths of machines that are not this one."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.images_in import load_image
from databricks_responses_mcp.media.input_files import FileLimits, read_file
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.staging import Staging
from databricks_responses_mcp.media.write_journal import WriteJournal

pytestmark = pytest.mark.anyio

SCREENSHOT = "Screenshot 2026-11-28 at 9.41.00\u202fAM.png"


@pytest.mark.parametrize(
    ("on_disk", "typed"),
    [
        ("at 9.41\u202fAM.txt", "at 9.41 AM.txt"),
        ("no\u00a0break.txt", "no break.txt"),
        (unicodedata.normalize("NFD", "résumé.txt"), "résumé.txt"),
        ("résumé.txt", unicodedata.normalize("NFD", "résumé.txt")),
        (f"{unicodedata.normalize('NFD', 'Bücher')}/a\u00a0b.txt", "Bücher/a b.txt"),
    ],
)
async def test_a_name_that_macos_writes_otherwise_is_found(tmp_path: Path, on_disk: str, typed: str) -> None:
    (tmp_path / on_disk).parent.mkdir(exist_ok=True)
    (tmp_path / on_disk).write_text("one\ntwo\n")
    allowed = AllowedPaths([tmp_path])
    for reference in (typed, f"{typed}:1-2", str(tmp_path / typed)):
        assert (await read_file(reference, FileLimits(99), base=tmp_path, allowed=allowed)).text == "one\ntwo\n"
    staging = await Staging.read(
        [str(tmp_path / typed)],
        allowed=allowed,
        max_bytes=99,
        max_total_bytes=99,
        journal=WriteJournal(tmp_path / "journal"),
    )
    assert list(staging.texts.values()) == ["one\ntwo\n"]


async def test_a_screenshot_is_found_as_an_image(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    (tmp_path / SCREENSHOT).write_bytes(picture())
    image = await load_image(
        SCREENSHOT.replace("\u202f", " "), max_bytes=9999, base=tmp_path, allowed=AllowedPaths([tmp_path])
    )
    assert image.name == SCREENSHOT


async def test_a_name_that_fits_two_files_is_not_guessed_and_both_are_named_so_that_they_can_be_copied(
    tmp_path: Path,
) -> None:
    names = ["at\u202f9.txt", "at\u00a09.txt"]
    for name in names:
        (tmp_path / name).write_text(f"{name}\n")
    allowed = AllowedPaths([tmp_path])
    with pytest.raises(BridgeError) as caught:
        await read_file("at 9.txt", FileLimits(99), base=tmp_path, allowed=allowed)
    assert caught.value.code is ErrorCode.NOT_FOUND
    for name in names:
        assert name in caught.value.hint
        assert (await read_file(name, FileLimits(99), base=tmp_path, allowed=allowed)).text == f"{name}\n"


async def test_names_are_not_looked_for_outside_of_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a\u00a0b.txt").write_text("secret\n")
    for name in ("a b.txt", "a\u00a0b.txt"):
        with pytest.raises(BridgeError) as caught:
            await read_file(
                str(tmp_path / name), FileLimits(99), base=tmp_path, allowed=AllowedPaths([tmp_path / "in"])
            )
        assert caught.value.code is ErrorCode.PERMISSION_DENIED


async def test_a_found_name_that_is_a_secret_or_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.txt").write_text("secret\n")
    (tmp_path / "in" / "a\u00a0b.txt").symlink_to(tmp_path / "out.txt")
    (tmp_path / "in" / "a\u00a0b.pem").write_text("secret\n")
    for name in ("a b.txt", "a b.pem"):
        with pytest.raises(BridgeError) as caught:
            await read_file(name, FileLimits(99), base=tmp_path / "in", allowed=AllowedPaths([tmp_path / "in"]))
        assert caught.value.code is ErrorCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "reference",
    ["/mnt/user-data/uploads/photo.png", "file:///mnt/user-data/outputs/a.txt", "/mnt/data/a.txt", "sandbox:/mnt/a.md"],
)
async def test_a_path_of_the_hosts_own_sandbox_is_explained(tmp_path: Path, reference: str) -> None:
    with pytest.raises(BridgeError) as caught:
        await read_file(reference, FileLimits(99), base=tmp_path, allowed=AllowedPaths([tmp_path]))
    assert caught.value.code is ErrorCode.NOT_FOUND
    assert str(caught.value).replace(reference, "PATH") == snapshot(
        "“PATH” is a path in the host's own sandbox, which is another machine: this server cannot read or write "
        "there. Ask the user where the file is on their computer and give that path, or put its text into the prompt."
    )


@pytest.mark.parametrize("reference", ["x" * 5000, "y/" * 3000, "é" * 200, "\udc80.txt\ud800"])
async def test_a_name_that_no_file_system_takes_is_an_error_of_the_argument(tmp_path: Path, reference: str) -> None:
    with pytest.raises(BridgeError) as caught:
        await read_file(reference, FileLimits(99), base=tmp_path, allowed=AllowedPaths([tmp_path]))
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert len(caught.value.message) < 300
