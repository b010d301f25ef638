"""Files to be edited: what is read, what is refused, and that writing is all or nothing."""

import errno
import itertools
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.path_policy import EVERYTHING, AllowedPaths
from databricks_responses_mcp.media.staging import Staging
from databricks_responses_mcp.media.write_journal import WriteJournal

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX links and permission bits")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, allowed."""
    root = (tmp_path / "project").resolve()
    root.mkdir()
    monkeypatch.chdir(root)
    return root


async def read(
    root: Path | None,
    *references: str,
    new: Sequence[str] = (),
    max_bytes: int = 10_000,
    max_total_bytes: int = 50_000,
) -> Staging:
    allowed = EVERYTHING if root is None else AllowedPaths([root])
    return await Staging.read(
        references,
        allowed=allowed,
        journal=journal_of(root),
        max_bytes=max_bytes,
        max_total_bytes=max_total_bytes,
        new=new,
    )


def journal_of(root: Path | None) -> WriteJournal:
    """A journal beside the project."""
    return WriteJournal((root or Path.cwd()).parent / "journal")


async def refusal(root: Path | None, *references: str, **limits: int) -> tuple[ErrorCode, str]:
    with pytest.raises(BridgeError) as caught:
        await read(root, *references, **limits)
    return caught.value.code, caught.value.message


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a directory, hidden ones too, and every empty directory."""
    paths = sorted(root.rglob("*"))
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    return files | {
        f"{path.relative_to(root).as_posix()}/": b"" for path in paths if path.is_dir() and not any(path.iterdir())
    }


CONTENTS = {
    "unix.txt": b"one\ntwo\n",
    "windows.txt": b"one\r\ntwo\r\n",
    "mixed.txt": b"one\r\ntwo\nthree",
    "no-newline.txt": b"one",
    "empty.txt": b"",
    "bom.txt": b"\xef\xbb\xbfone\n",
    "utf16le.txt": "\ufeffone\r\nzwei ü\r\n".encode("utf-16-le"),
    "utf16be.txt": "\ufeffone\n😀\n".encode("utf-16-be"),
    "utf32.txt": "\ufeffone\n".encode("utf-32-le"),
    "latin.txt": "größe\n".encode("cp1252"),
    "unicode.txt": "größe 😀\u2028x\n".encode(),
}


@pytest.mark.parametrize("name", CONTENTS)
async def test_a_text_goes_back_to_the_disk_as_the_same_bytes(project: Path, name: str) -> None:
    (project / name).write_bytes(CONTENTS[name])
    staging = await read(project, name)
    text = staging.texts[name]
    await staging.write({name: text + "x"})
    edited = (project / name).read_bytes()
    assert edited.startswith(CONTENTS[name])
    assert len(edited) > len(CONTENTS[name])
    again = await read(project, name)
    await again.write({name: text})
    assert tree(project) == {name: CONTENTS[name]}


async def test_a_mark_that_an_edit_lost_is_put_back(project: Path) -> None:
    (project / "a").write_bytes(CONTENTS["utf16be.txt"])
    await (await read(project, "a")).write({"a": "new\n"})
    assert (project / "a").read_bytes() == "\ufeffnew\n".encode("utf-16-be")


async def test_files_are_named_by_where_they_are_in_the_project(project: Path, tmp_path: Path) -> None:
    (project / "src").mkdir()
    for name in ("src/a.txt", "b.txt"):
        (project / name).write_text("x\n")
    (tmp_path / "c.txt").write_text("x\n")
    here = await read(project, "src/a.txt", str(project / "b.txt"), "./b.txt")
    assert (here.root, list(here.texts)) == (project, ["src/a.txt", "b.txt"])
    above = await read(tmp_path, "b.txt", str(tmp_path / "c.txt"))
    assert (above.root, list(above.texts)) == (tmp_path.resolve(), ["project/b.txt", "c.txt"])
    anywhere = await read(None, str(tmp_path / "c.txt"))
    assert (anywhere.root, list(anywhere.texts)) == (tmp_path.resolve(), ["c.txt"])
    nothing = await read(project)
    assert (nothing.root, nothing.texts) == (project, {})


async def test_without_any_file_or_project_there_is_no_place_for_new_ones() -> None:
    with pytest.raises(BridgeError, match="RESPONSES_MCP_ALLOWED_DIRS"):
        await Staging.read([], allowed=AllowedPaths([]), journal=journal_of(None), max_bytes=1, max_total_bytes=1)


async def test_what_cannot_be_edited_is_refused_before_anything_is_sent(project: Path) -> None:
    (project / "large.txt").write_text("x" * 2000)
    (project / "binary.bin").write_bytes(b"\0\1\2")
    (project / "odd.txt").write_bytes(b"\xff\xfex")
    (project / "folder").mkdir()
    (project.parent / "out.txt").write_text("x")
    references = [
        "large.txt",
        "binary.bin",
        "odd.txt",
        "folder",
        "absent.txt",
        "../out.txt",
        str(project.parent / "out.txt"),
    ]
    found = {reference: await refusal(project, reference, max_bytes=1000) for reference in references}
    shown = {
        name.replace(str(project.parent), "…"): (code.value, text.replace(str(project.parent), "…"))
        for name, (code, text) in found.items()
    }
    assert shown == snapshot(
        {
            "large.txt": ("too_large", "“large.txt” has 2.0 kB; a file to edit may have 1.0 kB."),
            "binary.bin": ("invalid_argument", "“binary.bin” is not a text file."),
            "odd.txt": ("invalid_argument", "“odd.txt” is not a text file."),
            "folder": ("invalid_argument", "“folder” is a directory."),
            "absent.txt": ("not_found", "There is no file “absent.txt” (looked for …/project/absent.txt)."),
            "../out.txt": (
                "invalid_argument",
                "“../out.txt” contains “..”, which is refused for files that are to be changed.",
            ),
            "…/out.txt": ("permission_denied", "“…/out.txt” may not be used: it is not under …/project."),
        }
    )
    code, text = await refusal(project, "large.txt", "binary.bin", max_bytes=1000)
    assert code is ErrorCode.INVALID_ARGUMENT
    assert "2 of 2 files" in text
    code, _ = await refusal(project, "large.txt", max_total_bytes=1000)
    assert code is ErrorCode.TOO_LARGE


@posix
async def test_files_behind_links_are_not_edited(project: Path) -> None:
    (project / "real").mkdir()
    (project / "real" / "a.txt").write_text("x\n")
    (project / "link.txt").symlink_to("real/a.txt")
    (project / "folder").symlink_to("real")
    (project.parent / "way-in").symlink_to(project)
    for reference in ("link.txt", "folder/a.txt"):
        code, text = await refusal(project, reference)
        assert (code, "symbolic link" in text) == (ErrorCode.PERMISSION_DENIED, True)
    assert (await refusal(None, "link.txt"))[0] is ErrorCode.PERMISSION_DENIED
    # A link on the way to the allowed directory is the user's own affair.
    assert list((await read(project, str(project.parent / "way-in" / "real" / "a.txt"))).texts) == ["real/a.txt"]


@posix
async def test_new_files_are_not_made_behind_links_or_in_others_places(project: Path) -> None:
    (project / "a.txt").write_text("x\n")
    (project / "there.txt").write_text("x\n")
    (project / "dangling").symlink_to("nowhere")
    (project / "out").symlink_to(project.parent)
    staging = await read(project, "a.txt")
    reasons = []
    for name in ("there.txt", "dangling", "out/x.txt", "a.txt/x.txt", "dangling/x.txt"):
        with pytest.raises(BridgeError) as caught:
            await staging.admit(name, "x\n")
        reasons.append(caught.value.message.replace(str(project), "…"))
    assert reasons == snapshot(
        [
            "“there.txt” exists already, but was not among the files to edit.",
            "“dangling” leads through a symbolic link, and files behind links are not changed.",
            "“out/x.txt” may not be used: it is not under ….",
            "“a.txt/x.txt” cannot be made: “a.txt” is a file, not a directory.",
            "“dangling/x.txt” leads through a symbolic link, and files behind links are not changed.",
        ]
    )
    await staging.admit("new/folder/x.txt", "x\n")
    await staging.admit("a.txt", None)


async def test_characters_that_a_files_encoding_has_not_are_refused_with_their_line(project: Path) -> None:
    (project / "a").write_bytes(CONTENTS["latin.txt"])
    staging = await read(project, "a")
    await staging.admit("a", "groß\n€\n")
    with pytest.raises(BridgeError) as caught:
        await staging.admit("a", "one\n→\n")
    assert caught.value.message == snapshot("“a” is a file in cp1252, which has no \\u2192 (in line 2).")
    with pytest.raises(BridgeError):
        await staging.write({"a": "one\n→\n"})
    assert tree(project) == {"a": CONTENTS["latin.txt"]}


async def test_changing_making_and_deleting_happen_together(project: Path) -> None:
    (project / "a").write_text("a\n")
    (project / "b").write_text("b\n")
    (project / "same").write_text("same\n")
    before = (project / "same").stat()
    staging = await read(project, "a", "b", "same")
    await staging.write({"a": "A\n", "same": "same\n", "new/deep/c": "c\n"})
    assert tree(project) == {"a": b"A\n", "new/deep/c": b"c\n", "same": b"same\n"}
    assert (project / "same").stat().st_mtime_ns == before.st_mtime_ns


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o660])
async def test_permission_bits_stay_and_new_files_get_the_usual_ones(project: Path, mode: int) -> None:
    (project / "a").write_text("a\n")
    (project / "a").chmod(mode)
    umask = os.umask(0o027)
    try:
        await (await read(project, "a")).write({"a": "A\n", "b": "b\n"})
    finally:
        os.umask(umask)
    assert [stat.S_IMODE((project / name).stat().st_mode) for name in "ab"] == [mode, 0o640]


CHANGES = {
    "changed": lambda p: (p / "b").write_text("by somebody\n"),
    "changed to the same size": lambda p: (p / "b").write_text("X\n"),
    "gone": lambda p: (p / "b").unlink(),
    "a directory now": lambda p: ((p / "b").unlink(), (p / "b").mkdir()),
    "a new one made by somebody": lambda p: (p / "new").write_text("by somebody\n"),
    "a new one's folder made a file": lambda p: (p / "dir").write_text("by somebody\n"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_somebody_changed_meanwhile_is_left_alone_and_so_is_everything_else(
    project: Path, change: str
) -> None:
    for name in "abz":
        (project / name).write_text(f"{name}\n")
    staging = await read(project, "a", "b", "z")
    CHANGES[change](project)
    before = tree(project)
    with pytest.raises(BridgeError, match="nothing was changed") as caught:
        await staging.write({"a": "A\n", "b": "B\n", "new": "new\n", "dir/x": "x\n"})
    assert caught.value.retryable
    assert tree(project) == before


@posix
async def test_a_link_put_in_a_files_place_or_on_its_way_is_not_followed(project: Path) -> None:
    outside = project.parent / "outside"
    outside.mkdir()
    (outside / "a").write_text("a\n")
    (project / "src").mkdir()
    (project / "src" / "a").write_text("a\n")
    staging = await read(project, "src/a")
    (project / "src" / "a").unlink()
    (project / "src" / "a").symlink_to(outside / "a")
    with pytest.raises(BridgeError):
        await staging.write({"src/a": "A\n"})
    (project / "src" / "a").unlink()
    (project / "src").rmdir()
    (project / "src").symlink_to(outside)
    with pytest.raises(BridgeError):
        await staging.write({"src/a": "A\n", "src/new": "new\n"})
    assert tree(outside) == {"a": b"a\n"}


async def test_a_failure_between_the_renames_puts_everything_back(project: Path) -> None:
    for name in ("a", "b", "c"):
        (project / name).write_text(f"{name}\n")
    before = tree(project)
    staging = await read(project, "a", "b", "c")
    # The last of these cannot be renamed into place: the one before it has made its name a folder.
    with pytest.raises(BridgeError) as caught:
        await staging.write({"a": "A\n", "c": "C\n", "made": "x\n", "n": "file\n", "n/inner": "x\n"})
    assert "nothing was changed" in caught.value.message
    assert tree(project) == before


@posix
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write everywhere")
async def test_a_folder_that_cannot_be_written_is_told(project: Path) -> None:
    (project / "ro").mkdir()
    (project / "ro" / "a").write_text("a\n")
    (project / "b").write_text("b\n")
    (project / "ro").chmod(0o500)
    staging = await read(project, "b", "ro/a")
    try:
        with pytest.raises(BridgeError) as caught:
            await staging.write({"b": "B\n", "ro/a": "A\n"})
    finally:
        (project / "ro").chmod(0o700)
    assert caught.value.code is ErrorCode.PERMISSION_DENIED
    assert tree(project) == {"b": b"b\n", "ro/a": b"a\n"}


async def test_a_write_protected_file_is_not_replaced(project: Path) -> None:
    (project / "a").write_text("a\n")
    (project / "a").chmod(0o444)
    staging = await read(project, "a")
    with pytest.raises(BridgeError, match="write-protected"):
        await staging.write({"a": "A\n"})
    assert tree(project) == {"a": b"a\n"}


def failing(monkeypatch: pytest.MonkeyPatch, function: str, error: int, *, after: int = 0) -> None:
    """Let a function of ``os`` fail once it was called so often."""
    real, calls = getattr(os, function), itertools.count()

    def call(*given: object, **named: object) -> object:
        if next(calls) >= after:
            raise OSError(error, os.strerror(error))
        return real(*given, **named)

    monkeypatch.setattr(os, function, call)


@posix
async def test_a_file_system_without_second_names_will_do(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (project / name).write_text(f"{name}\n")
    staging = await read(project, "a", "b")
    failing(monkeypatch, "link", errno.EPERM)
    await staging.write({"a": "A\n", "c": "C\n"})
    assert tree(project) == {"a": b"A\n", "c": b"C\n"}


@pytest.mark.parametrize(("function", "after"), [("fsync", 0), ("fsync", 2), ("replace", 0)])
async def test_a_disk_that_fails_leaves_everything_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch, function: str, after: int
) -> None:
    for name in "ab":
        (project / name).write_text(f"{name}\n")
    before = tree(project)
    staging = await read(project, "a", "b")
    failing(monkeypatch, function, errno.ENOSPC, after=after)
    with pytest.raises(BridgeError) as caught:
        await staging.write({"a": "A\n", "b": "B\n", "new/c": "C\n"})
    assert (caught.value.code, tree(project)) == (ErrorCode.INTERNAL, before)
    assert caught.value.message.endswith("; nothing was changed.")


async def test_what_cannot_even_be_put_back_is_told_with_the_place_of_its_content(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (project / name).write_text(f"{name}\n")
    staging = await read(project, "a", "b")
    failing(monkeypatch, "replace", errno.EIO, after=1)
    with pytest.raises(BridgeError) as caught:
        await staging.write({"a": "A\n", "b": "B\n"})
    left = tree(project)
    kept = next(name for name in left if name.endswith(".old"))
    assert left == {"a": b"A\n", "b": b"b\n", kept: b"a\n"}
    assert f"could not be put back: a (its content is in {kept} beside it)" in caught.value.message
