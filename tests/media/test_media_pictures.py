"""Pictures to disk: exact, whole, never over another file."""

import base64
import hashlib
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.pictures import SavedPicture, decode_base64, save_picture, slug
from harness.deadlines import DEADLINE_SECONDS

Picture = Callable[..., bytes]
RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))}


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_picture_is_saved_under_its_prompt_and_hash(tmp_path: Path, picture: Picture) -> None:
    data = picture("WEBP", size=(30, 20))
    digest = hashlib.sha256(data).hexdigest()
    saved = save_picture(data, tmp_path / "new" / "folder", "A café at night, Montréal!")
    path = tmp_path / "new" / "folder" / f"a-cafe-at-night-montreal-{digest[:10]}.webp"
    assert saved == SavedPicture(path, "image/webp", ".webp", 30, 20, len(data), digest, None)
    assert files(path.parent) == {path.name: data}


def test_bytes_that_are_no_picture_are_kept_too(tmp_path: Path) -> None:
    saved = save_picture(b"who knows", tmp_path, "x")
    assert (saved.path.suffix, saved.mime_type, saved.width) == (".bin", "application/octet-stream", None)


def test_the_same_picture_twice_is_one_file(tmp_path: Path, picture: Picture) -> None:
    first = save_picture(picture(), tmp_path, "fox")
    before = first.path.stat()
    assert save_picture(picture(), tmp_path, "fox") == first
    after = first.path.stat()  # it is read: some file systems write down when
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(files(tmp_path)) == 1


def test_another_file_of_that_name_is_never_overwritten(tmp_path: Path, picture: Picture) -> None:
    first = save_picture(picture(), tmp_path, "fox")
    first.path.write_bytes(b"edited by the user")
    second = save_picture(picture(), tmp_path, "fox")
    assert second.path.name == f"{first.path.stem}-2.png"
    assert files(tmp_path) == {first.path.name: b"edited by the user", second.path.name: picture()}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes in the file system are POSIX")
def test_a_name_taken_by_something_odd_is_stepped_over(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "a.png").mkdir()
    assert save_picture(picture(), tmp_path / "a.png", "in a directory").path.parent == tmp_path / "a.png"
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert save_picture(picture(), tmp_path / "pipe.png", "x").path.name == "pipe-2.png"
    assert save_picture(picture(), tmp_path / "dangling.png", "x").path.name == "dangling-2.png"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("asked", "got", "told"),
    [
        ("fox.png", "fox.png", False),
        ("fox.PNG", "fox.PNG", False),
        ("fox.jpeg", "fox.png", True),
        ("my.fox.webp", "my.fox.png", True),
    ],
)
def test_a_file_name_may_be_given_and_the_extension_stays_true(
    tmp_path: Path, picture: Picture, asked: str, got: str, told: bool
) -> None:
    saved = save_picture(picture(), tmp_path / "sub" / asked, "prompt")
    assert saved.path == tmp_path / "sub" / got
    assert saved.requested_path == (tmp_path / "sub" / asked if told else None)


def test_jpeg_may_be_called_jpeg(tmp_path: Path, picture: Picture) -> None:
    assert save_picture(picture("JPEG"), tmp_path / "fox.jpeg", "prompt").path.name == "fox.jpeg"


def test_a_name_that_was_taken_is_told(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "fox.png").write_bytes(b"mine")
    saved = save_picture(picture(), tmp_path / "fox.png", "prompt")
    assert (saved.path.name, saved.requested_path) == ("fox-2.png", tmp_path / "fox.png")


def test_a_home_directory_is_expanded(tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert save_picture(picture(), Path("~/pictures"), "x").path.parent == tmp_path / "pictures"


def test_many_at_once_under_one_name_all_survive(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def save(n: int) -> SavedPicture:
        start.wait(DEADLINE_SECONDS)
        return save_picture(b"picture %d" % (n // 2), tmp_path / "same.png", "x")

    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(save, range(8)))
    for n, one in enumerate(saved):
        assert one.path.read_bytes() == b"picture %d" % (n // 2)
    assert len(files(tmp_path)) == len({one.path for one in saved}) == 4


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "B.png", "c.webp"]), st.binary(max_size=3)), max_size=6))
def test_whatever_is_saved_stays(tmp_path_factory: pytest.TempPathFactory, saves: list[tuple[str, bytes]]) -> None:
    root = tmp_path_factory.mktemp("saves")
    contents: dict[Path, bytes] = {}
    for name, data in saves:
        saved = save_picture(data, root / name, "same prompt")
        contents[saved.path] = data
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == contents


def test_a_file_system_without_hard_links_is_written_to_as_carefully(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # what FAT says; no such file system can be had here

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "fox.png").write_bytes(b"mine")
    saved = save_picture(picture(), tmp_path / "fox.png", "x")
    assert files(tmp_path) == {"fox.png": b"mine", "fox-2.png": picture()}
    assert saved.path.name == "fox-2.png"


def test_a_path_through_a_file_is_told_with_the_setting(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(BridgeError) as caught:
            save_picture(picture(), directory, "x")
        assert caught.value.as_dict(mcp_words) == {
            "code": "internal",
            "message": f"The image could not be saved in {directory}: part of that path is a file, not a directory.",
            "retryable": False,
            "hint": "Name another place to save it, or set RESPONSES_MCP_IMAGE_DIR to a directory that can be written.",
        }


@pytest.mark.parametrize("target", ["a\0b", "~nobody-by-this-name/pictures", "x" * 5000])
def test_what_cannot_be_a_path_is_told(tmp_path: Path, picture: Picture, target: str) -> None:
    with pytest.raises(BridgeError) as caught:
        save_picture(picture(), Path(target) if target[0] == "~" else tmp_path / target, "x")
    assert caught.value.code is ErrorCode.INTERNAL


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from databricks_responses_mcp.media.pictures import save_picture
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_picture(bytes(1_000_000), Path(sys.argv[1]), "x")
except Exception as error:
    print(type(error).__name__, error.message, list(Path(sys.argv[1]).iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        f"BridgeError The image could not be saved in {tmp_path}: the file is larger than the system allows. []"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
def test_a_directory_that_cannot_be_written_is_told(picture: Picture) -> None:
    with pytest.raises(BridgeError) as caught:
        save_picture(picture(), Path("/proc"), "x")
    assert caught.value.code is ErrorCode.INTERNAL


def test_slugs_are_readable() -> None:
    prompts = [
        "A red fox",
        "  Ünïcödé & <html>; rm -rf /  ",
        "ねこ",
        "",
        "CON",
        "com1",
        "a photograph of a very long list of things that goes on and on",
        "x" * 99,
        "../../etc/passwd",
    ]
    assert {prompt[:12]: slug(prompt) for prompt in prompts} == snapshot(
        {
            "A red fox": "a-red-fox",
            "  Ünïcödé & ": "unicode-html-rm-rf",
            "ねこ": "picture",
            "": "picture",
            "CON": "con-picture",
            "com1": "com1-picture",
            "a photograph": "a-photograph-of-a-very-long-list-of-things-that",
            "xxxxxxxxxxxx": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "../../etc/pa": "etc-passwd",
        }
    )


@given(st.text())
def test_any_prompt_makes_a_safe_slug(prompt: str) -> None:
    made = slug(prompt)
    assert 1 <= len(made) <= 48
    assert made.isascii()
    assert made == made.lower()
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert made.strip("-") == made
    assert made not in RESERVED


@given(
    st.binary(min_size=1),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "data:image/png;base64,", "Data:,"]),
    st.integers(1, 80),
    st.sampled_from([str, bytes, bytearray, memoryview]),
)
def test_base64_is_read_in_every_spelling(
    data: bytes, url_safe: bool, padded: bool, prefix: str, width: int, kind: type
) -> None:
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    encoded = encoded if padded else encoded.rstrip("=")
    encoded = prefix + "\r\n".join(encoded[i : i + width] for i in range(0, len(encoded), width))
    assert decode_base64(encoded if kind is str else kind(encoded.encode())) == data


@pytest.mark.parametrize("data", ["A", "AAAAA", "AA?=", "ÄÖÜ=", "AA=A", b"\xff\xfe\xfd\xfc", "AAAA" * 99 + "!"])
def test_damaged_base64_is_an_error_and_not_another_picture(data: str | bytes) -> None:
    with pytest.raises(BridgeError) as caught:
        decode_base64(data)
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.UPSTREAM_ERROR, True)


@pytest.mark.parametrize("data", ["", "====", "data:image/png;base64,", b" \n"])
def test_no_base64_is_no_picture(data: str | bytes) -> None:
    with pytest.raises(BridgeError) as caught:
        decode_base64(data)
    assert caught.value.message == "The image has no data."


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_a_picture_of_20_mb_costs_no_more_than_its_own_bytes_to_decode_and_save(tmp_path: Path, prefix: str) -> None:
    encoded = prefix + base64.b64encode(os.urandom(20_000_000)).decode()
    tracemalloc.start()
    try:
        saved = save_picture(decode_base64(encoded), tmp_path, "large")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert saved.bytes == 20_000_000
    # The decoded bytes are 0.75 of the base64; a prefix costs one copy of it more.
    assert peak / len(encoded) < (1.9 if prefix else 0.85)
