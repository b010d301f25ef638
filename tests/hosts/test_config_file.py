"""A host's configuration file is replaced atomically."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.config_file import read_config, write_config

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")
not_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may do everything; and modes are POSIX'"
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_missing_file_reads_as_empty_and_is_created_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "mcp.json"
    assert read_config(path) == ""
    assert write_config(path, "{}\r\n", previous="") is None
    assert path.read_bytes() == b"{}\r\n"
    assert names(path.parent) == ["mcp.json"]


@posix
def test_only_its_user_can_read_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    write_config(path, "{}", previous="")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_the_mode_is_kept_and_the_backup_has_no_wider_permissions(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b"\xef\xbb\xbf{}\r\n")
    path.chmod(0o640)
    backup = write_config(path, "new", previous=read_config(path))
    assert backup is not None
    assert backup.read_bytes() == b"\xef\xbb\xbf{}\r\n"
    assert backup.name.startswith("mcp.json.")
    assert backup.name.endswith(".databricks-backup")
    assert path.read_text() == "new"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, backup)] == [0o640, 0o640]
    assert names(tmp_path) == ["mcp.json", backup.name]


def test_each_backup_has_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("0")
    backups = [write_config(path, str(count), previous=str(count - 1)) for count in range(1, 5)]
    assert [backup.read_text() for backup in backups if backup] == ["0", "1", "2", "3"]


def test_an_unchanged_text_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("same")
    before = path.stat()
    assert write_config(path, "same", previous="same") is None
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == ["mcp.json"]


@posix
def test_a_link_is_kept_and_its_target_is_written(tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "mcp.json").write_text("old")
    (tmp_path / "second.json").symlink_to("dotfiles/mcp.json")
    link = tmp_path / "mcp.json"
    link.symlink_to("second.json")
    backup = write_config(link, "new", previous=read_config(link))
    assert link.readlink() == Path("second.json")
    assert (dotfiles / "mcp.json").read_text() == "new"
    assert backup is not None
    assert backup.parent == dotfiles


@posix
def test_writing_to_a_dangling_link_creates_its_target(tmp_path: Path) -> None:
    link = tmp_path / "mcp.json"
    link.symlink_to("dotfiles/mcp.json")
    write_config(link, "new", previous=read_config(link))
    assert (tmp_path / "dotfiles" / "mcp.json").read_text() == "new"
    assert link.is_symlink()


def test_a_file_that_another_program_has_changed_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("theirs")
    with pytest.raises(BridgeError) as raised:
        write_config(path, "ours", previous="old")
    assert raised.value.retryable
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["mcp.json"]


def code_and_text(raised: pytest.ExceptionInfo[BridgeError], folder: Path) -> tuple[str, str]:
    return raised.value.code.value, str(raised.value).replace(str(folder), "FOLDER")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").mkdir()
    with pytest.raises(BridgeError) as raised:
        read_config(tmp_path / "mcp.json")
    assert code_and_text(raised, tmp_path) == snapshot(
        ("invalid_argument", "FOLDER/mcp.json is not a regular file. Move it away.")
    )


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_bytes("{}".encode("utf-16"))
    with pytest.raises(BridgeError) as raised:
        read_config(tmp_path / "mcp.json")
    assert code_and_text(raised, tmp_path) == snapshot(
        (
            "invalid_argument",
            "FOLDER/mcp.json is not UTF-8 text (byte 0). Save it as UTF-8, or move it away; nothing was written.",
        )
    )


@posix
def test_loops_of_links_and_pipes_are_refused_without_blocking(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "a", tmp_path / "pipe"):
        for act in (read_config, lambda path: write_config(path, "new", previous="")):
            with pytest.raises(BridgeError) as raised:
                act(path)
            assert raised.value.code == "invalid_argument"


def test_a_file_in_place_of_a_parent_folder_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(BridgeError) as raised:
        write_config(tmp_path / "a" / "b" / "mcp.json", "new", previous="")
    assert raised.value.code == "invalid_argument"


@not_root
def test_a_read_only_file_and_a_read_only_folder_are_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(BridgeError) as raised:
        write_config(path, "new", previous="old")
    assert raised.value.code == "permission_denied"
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    with pytest.raises(BridgeError) as raised:
        write_config(path, "new", previous="old")
    tmp_path.chmod(0o755)
    assert raised.value.code == "permission_denied"
    assert (path.read_text(), names(tmp_path)) == ("old", ["mcp.json"])


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX stands for a full disk")
def test_a_disk_that_fails_during_a_write_leaves_only_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("old")
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from databricks_responses_mcp.errors import BridgeError\n"
        "from databricks_responses_mcp.hosts.config_file import write_config\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_config(Path(sys.argv[1]), 'x' * 5000, previous='old')\n"
        "except BridgeError as error: print(error.code, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.replace(str(tmp_path), "FOLDER") == snapshot(
        "internal Cannot write FOLDER/mcp.json: File too large. "
        "Check the disk and run it again; the file is unchanged.\n"
    )
    assert (path.read_text(), names(tmp_path)) == ("old", ["mcp.json"])


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away")
def test_root_preserves_the_owner_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("old")
    os.chown(path, 12345, 12346)
    write_config(path, "new", previous="old")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_a_lone_surrogate_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BridgeError):
        write_config(tmp_path / "mcp.json", "\ud800", previous="")
    assert names(tmp_path) == []


def test_a_file_that_is_briefly_open_elsewhere_is_replaced_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulate Windows, where a file that another program has open cannot be replaced."""
    path = tmp_path / "mcp.json"
    path.write_text("old")
    replace, refusals = Path.replace, [1, 2, 3]

    def held(self: Path, target: Path) -> Path:
        if refusals:
            refusals.pop()
            raise PermissionError(13, "held")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held)
    write_config(path, "new", previous="old")
    assert path.read_text() == "new"


def test_concurrent_writers_see_whole_files_and_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("")
    start = threading.Barrier(4)

    def add(name: str) -> None:
        start.wait()
        for count in range(5):
            while True:
                previous = read_config(path)
                try:
                    write_config(path, f"{previous}{name}{count}\n", previous=previous)
                    break
                except BridgeError as error:
                    if not error.retryable:
                        raise

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().split()) == sorted(f"{name}{count}" for name in "abcd" for count in range(5))
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


def test_on_windows_the_error_says_that_a_file_is_open_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("old", encoding="utf-8")

    def refuse(*_: object, **__: object) -> None:
        error = PermissionError(13, "used by another process")
        error.winerror = 32  # type: ignore[attr-defined,unused-ignore]
        raise error

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(BridgeError, match="is open in another program") as caught:
        write_config(path, "new", previous="old")
    assert (caught.value.retryable, path.read_text(encoding="utf-8"), names(tmp_path)) == (True, "old", ["mcp.json"])
