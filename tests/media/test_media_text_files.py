"""Text files that a caller names, whole or by lines, on their way into a prompt."""

import codecs
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.input_files import FileLimits, read_file, read_files
from databricks_responses_mcp.media.text_files import TextFile, render_files
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio
Picture = Callable[..., bytes]
ROOM = 100_000


async def failure(reference: str, base: Path, max_bytes: int = ROOM) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        await read_file(reference, FileLimits(max_bytes), base=base)
    return caught.value


async def test_a_file_is_read_whole_with_its_line_endings(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rtwo\nthree \xe2\x82\xac")
    assert await read_file("a.txt", FileLimits(ROOM), base=tmp_path) == TextFile(
        "a.txt", "one\r\ntwo\rtwo\nthree €", None, None, 3, "utf-8"
    )


@pytest.mark.parametrize(
    ("reference", "text", "first", "last"),
    [
        ("a.txt:2", "two\n", 2, 2),
        ("a.txt:2-3", "two\nthree\n", 2, 3),
        ("a.txt:3-", "three\nfour", 3, 4),
        ("a.txt:3-99", "three\nfour", 3, 4),
        ("a.txt:4-4", "four", 4, 4),
        ("a.txt#L2", "two\n", 2, 2),
        ("a.txt#L2-L3", "two\nthree\n", 2, 3),
        ("a.txt#L2-3", "two\nthree\n", 2, 3),
        ("a.txt#L3-", "three\nfour", 3, 4),
    ],
)
async def test_a_range_of_lines_is_read(tmp_path: Path, reference: str, text: str, first: int, last: int) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\nfour", encoding="utf-8", newline="")
    expected = TextFile("a.txt", text, first, last, 4, "utf-8")
    assert await read_file(reference, FileLimits(ROOM), base=tmp_path) == expected


async def test_every_way_to_name_a_file_takes_a_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b.txt").write_text("one\ntwo\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    url = (tmp_path / "a b.txt").as_uri()
    for way in ("a b.txt", "~/a b.txt", str(tmp_path / "a b.txt"), url):
        for mark in (":2", "#L2"):
            assert (await read_file(way + mark, FileLimits(ROOM), base=tmp_path)).text == "two\n"


@pytest.mark.skipif(os.name == "nt", reason="no colons in file names there")
async def test_a_file_of_that_very_name_wins_over_a_range(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\ntwo\n")
    for name in ("a:2", "a#L2"):
        (tmp_path / name).write_text(f"I am {name}")
        assert await read_file(name, FileLimits(ROOM), base=tmp_path) == TextFile(
            name, f"I am {name}", None, None, 1, "utf-8"
        )


async def test_a_range_past_the_end_tells_the_number_of_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "empty.txt").touch()
    error = await failure("a.txt:3-9", tmp_path)
    assert error.as_dict(mcp_words) == {
        "code": "invalid_argument",
        "message": "“a.txt” has 2 lines, so it has no line 3.",
        "retryable": False,
        "hint": "Ask for lines from 1 to 2.",
    }
    assert (await failure("empty.txt:1", tmp_path)).hint == "The file is empty."


@pytest.mark.parametrize("reference", ["a.txt:0", "a.txt:0-3", "a.txt:3-2", "a.txt#L0", "a.txt#L9-L8"])
async def test_a_range_that_is_none_is_refused(tmp_path: Path, reference: str) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    error = await failure(reference, tmp_path)
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "is not a range of lines" in error.message


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (codecs.BOM_UTF8 + "é\nß".encode(), "é\nß", "utf-8"),
        (codecs.BOM_UTF16_LE + "é\nß".encode("utf-16-le"), "é\nß", "utf-16"),
        (codecs.BOM_UTF16_BE + "é\nß".encode("utf-16-be"), "é\nß", "utf-16"),
        (codecs.BOM_UTF32_LE + "é\nß".encode("utf-32-le"), "é\nß", "utf-32"),
        ("é\nß".encode("cp1252"), "é\nß", "windows-1252"),
        (b"", "", "utf-8"),
    ],
)
async def test_encodings_are_told_apart(tmp_path: Path, data: bytes, text: str, encoding: str) -> None:
    (tmp_path / "a").write_bytes(data)
    whole = await read_file("a", FileLimits(ROOM), base=tmp_path)
    assert (whole.text, whole.encoding) == (text, encoding)
    if text:
        second = await read_file("a:2", FileLimits(ROOM), base=tmp_path)
        assert (second.text, second.total_lines) == ("ß", 2)
        assert second.encoding == encoding


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=6), max_size=12),
    st.booleans(),
    st.integers(1, 14),
    st.integers(0, 14),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
async def test_a_range_is_just_those_lines_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], closed: bool, first: int, more: int, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("range") / "a.txt"
    text = "\n".join(lines) + ("\n" if closed and lines else "")
    path.write_text(text, encoding=encoding, newline="")
    expected = re.findall(r"[^\n]*\n|[^\n]+", text)
    if first > len(expected):
        assert f"{len(expected)} line" in (await failure(f"{path}:{first}-{first + more}", path.parent)).message
        return
    read = await read_file(f"{path}:{first}-{first + more}", FileLimits(ROOM))
    assert read.text == "".join(expected[first - 1 : first + more])
    assert (read.first_line, read.last_line, read.total_lines) == (
        first,
        min(first + more, len(expected)),
        len(expected),
    )


async def test_a_file_too_large_suggests_a_range_and_a_range_of_it_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("".join(f"line {n}\n" for n in range(1, 200_001)))
    error = await failure("log.txt", tmp_path)
    assert error.code is ErrorCode.TOO_LARGE
    assert error.hint == "Ask for the lines that matter, as in log.txt:1-200."
    assert await read_file("log.txt:199999-", FileLimits(ROOM), base=tmp_path) == TextFile(
        "log.txt", "line 199999\nline 200000\n", 199_999, 200_000, 200_000, "utf-8"
    )


async def test_a_range_too_large_tells_what_would_fit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("123456789\n" * 100)
    error = await failure("a.txt:11-90", tmp_path, max_bytes=50)
    assert error.code is ErrorCode.TOO_LARGE
    assert error.hint == "Lines 11-15 would fit."
    assert len((await read_file("a.txt:11-15", FileLimits(50), base=tmp_path)).text) == 50
    (tmp_path / "one.txt").write_text("x" * 1_000_000)
    assert "That line alone is too long" in (await failure("one.txt:1", tmp_path)).hint


async def test_the_lines_of_an_enormous_file_are_not_counted(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.write(b"one\ntwo\nthree\n" * 9000)
        file.truncate(1 << 40)
    with anyio.fail_after(DEADLINE_SECONDS):
        read = await read_file("huge.txt:2", FileLimits(ROOM), base=tmp_path)
    assert read == TextFile("huge.txt", "two\n", 2, 2, None, "utf-8")


def is_reading() -> bool:
    """Whether a worker thread is in the middle of a file."""
    stacks = (traceback.extract_stack(frame) for frame in sys._current_frames().values())
    return any(entry.name == "lines_of" for stack in stacks for entry in stack)


async def test_cancelling_ends_the_reading_of_an_enormous_file(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.write(b"text\n" * 20_000)
        file.truncate(1 << 36)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: read_file("huge.txt:999999999", FileLimits(ROOM), base=tmp_path))
            while not is_reading():
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        while is_reading():
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("data", "said", "hint"),
    [
        (b"a\0b", "is not a text file", "Save it as UTF-8 text."),
        (bytes(range(256)), "is not a text file", "Save it as UTF-8 text."),
        (b"text \x81\x9d", "is not a text file", "Save it as UTF-8 text."),
        (codecs.BOM_UTF16_LE + b"odd", "is not a text file", "Save it as UTF-8 text."),
        (b"PK\x03\x04\0\0", "is a ZIP archive", "Unpack it"),
        (b"\x7fELF rest", "is a compiled program", "Unpack it"),
    ],
)
@pytest.mark.parametrize("mark", ["", ":1"])
async def test_a_binary_file_is_called_what_it_is(tmp_path: Path, data: bytes, said: str, hint: str, mark: str) -> None:
    (tmp_path / "a").write_bytes(data)
    error = await failure(f"a{mark}", tmp_path)
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize("written_as", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF"])
async def test_a_picture_is_sent_to_the_images_parameter(tmp_path: Path, picture: Picture, written_as: str) -> None:
    (tmp_path / "a").write_bytes(picture(written_as))
    error = await failure("a", tmp_path)
    assert f"is a picture ({written_as}), not text or a document" in error.message
    assert "`images`" in error.hint


async def test_control_codes_do_not_make_utf8_binary(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"\x1b[31mred\x01\x0c\xc3\xa9\n")
    for mark in ("", ":1"):
        assert (await read_file(f"a.log{mark}", FileLimits(ROOM), base=tmp_path)).text == "\x1b[31mred\x01\x0cé\n"


async def test_svg_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg/>")
    assert (await read_file("a.svg", FileLimits(ROOM), base=tmp_path)).text == "<svg/>"


async def test_a_directory_tells_its_files(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", ".env"):
        (tmp_path / name).touch()
    error = await failure(str(tmp_path), tmp_path)
    assert error.hint == "Name the files in it, such as a.py, b.py."
    assert (await failure(f"{tmp_path}:3", tmp_path)).code is ErrorCode.INVALID_ARGUMENT


async def test_all_failures_are_told_at_once_and_order_is_kept(tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / f"{n}").write_text(str(n))
    files = await read_files([f"{n}" for n in range(9)], FileLimits(ROOM), base=tmp_path)
    assert "".join(file.text for file in files) == "012345678"
    with pytest.raises(BridgeError) as caught:
        await read_files(["0", "no", "1:7", "nor"], FileLimits(ROOM), base=tmp_path)
    assert caught.value.message == (
        f"3 of 4 files cannot be used: (1) There is no file “no” (looked for {tmp_path / 'no'}). "
        f"(2) “1” has 1 line, so it has no line 7. (3) There is no file “nor” (looked for {tmp_path / 'nor'})."
    )


async def test_files_too_large_together_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("x" * 600)
    assert len(await read_files(["a", "b"], FileLimits(ROOM), max_text_bytes=1200, base=tmp_path)) == 2
    with pytest.raises(BridgeError) as caught:
        await read_files(["a", "b"], FileLimits(ROOM), max_text_bytes=1199, base=tmp_path)
    assert (caught.value.code, caught.value.message) == (
        ErrorCode.TOO_LARGE,
        "The 2 files have more than 1.2 kB together, which is all that can be sent.",
    )


async def test_a_file_that_is_named_many_times_is_read_and_sent_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x" * 600)
    names = ["a", "./a", str(tmp_path / "a")] * 300
    files = await read_files(names, FileLimits(ROOM), max_text_bytes=1000, base=tmp_path)
    assert [file.name for file in files] == ["a"]


async def test_of_many_failures_the_first_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(BridgeError) as caught:
        await read_files([f"absent-{n}" for n in range(500)], FileLimits(ROOM), base=tmp_path)
    assert caught.value.message.endswith(" And 490 more.")
    assert len(caught.value.message) < 4000


def test_files_are_put_in_fences_with_their_names_and_lines() -> None:
    files = [
        TextFile("src/a.py", "print(1)\n", None, None, 1, "utf-8"),
        TextFile("notes.md", "```\ncode\n````", 10, 12, 300, "utf-8"),
        TextFile("old\n```.txt", "é", 7, 7, None, "windows-1252"),
        TextFile("empty", "", None, None, 0, "utf-8"),
    ]
    assert render_files(files) == snapshot("""\
File: src/a.py (1 line)
```
print(1)
```

File: notes.md (lines 10-12 of 300)
`````
```
code
````
`````

File: old\\x0a```.txt (line 7, read as windows-1252)
```
é
```

File: empty (0 lines)
```
```\
""")
    assert render_files([]) == ""


@given(st.text("`\n a~"))
def test_no_content_closes_its_fence(text: str) -> None:
    lines = render_files([TextFile("a", text, None, None, None, "utf-8")]).split("\n")
    fence = lines[1]
    assert [n for n, line in enumerate(lines) if line.strip().startswith(fence)] == [1, len(lines) - 1]
