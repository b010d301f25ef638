"""The file of the audit log: whole lines, rotated, private, shared by processes; what cannot be written is an error."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from databricks_responses_mcp.calls.call_log import AuditError
from databricks_responses_mcp.service import audit
from databricks_responses_mcp.service.audit import AuditFile
from harness.deadlines import DEADLINE_SECONDS

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def audit_file(path: Path, *, max_bytes: int = 10_000, max_files: int = 3, is_strict: bool = False) -> AuditFile:
    return AuditFile(path, max_bytes=max_bytes, max_files=max_files, is_strict=is_strict)


def records(*paths: Path) -> list[int]:
    return [json.loads(line)["n"] for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("is_strict", [False, True])
async def test_a_full_file_is_renamed_and_the_oldest_is_deleted(tmp_path: Path, is_strict: bool) -> None:
    path = tmp_path / "audit.jsonl"
    log = audit_file(path, max_bytes=100, max_files=2, is_strict=is_strict)
    for number in range(12):
        await log.write({"n": number, "text": "x" * 20, "none": None})
    assert records(path.with_name("audit.jsonl.2"), path.with_name("audit.jsonl.1"), path) == list(range(6, 12))
    assert not path.with_name("audit.jsonl.3").exists()
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"0o600"}


async def test_the_file_becomes_private_if_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o644)
    path.chmod(0o644)
    audit_file(path).check()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_was_moved_away_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = audit_file(path)
    await log.write({"n": 1})
    path.rename(tmp_path / "taken")
    await log.write({"n": 2})
    assert (records(tmp_path / "taken"), records(path)) == ([1], [2])


@pytest.mark.parametrize("failing", ["open", "fchmod"])
async def test_a_file_that_cannot_be_opened_leaves_no_descriptor_open_and_closes_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text("x" * 200, encoding="utf-8")
    path.chmod(0o644 if failing == "fchmod" else 0o600)
    log = audit_file(path, max_bytes=100)
    opened: list[int] = []
    really_open, really_close = os.open, os.close

    def refuse(*_: object) -> None:
        raise PermissionError(1, "refused")

    def open_until_the_file_is_new(name: Path, *arguments: int) -> int:
        if failing == "open" and name == path and not path.exists():
            refuse()
        opened.append(really_open(name, *arguments))
        return opened[-1]

    def close(descriptor: int) -> None:
        opened.remove(descriptor)
        really_close(descriptor)

    monkeypatch.setattr(os, "open", open_until_the_file_is_new)
    monkeypatch.setattr(os, "close", close)
    if failing == "fchmod":
        monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(AuditError, match="refused"):
        await log.write({"n": 1})
    assert opened == []


@pytest.mark.parametrize("kind", ["directory", "link", "pipe", "missing"])
async def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "audit.jsonl"
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "other")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = tmp_path / "none" / "audit.jsonl"
    with pytest.raises(AuditError, match=r"audit\.jsonl: "):
        await audit_file(path).write({"n": 1})
    assert not (tmp_path / "other").exists()


async def test_a_full_disk_is_an_error_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    log = audit_file(path)
    await log.write({"n": 1})
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        with pytest.raises(AuditError, match="the disk is full"):
            await log.write({"n": 2})
    await log.write({"n": 3})
    assert records(path) == [1, 3]


async def test_calls_do_not_wait_for_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, goes_on, hangs = audit_file(tmp_path / "audit.jsonl"), threading.Event(), threading.Event()
    write = os.write

    def hang(descriptor: int, data: bytes) -> int:
        hangs.set()
        goes_on.wait(DEADLINE_SECONDS)
        return write(descriptor, data)

    monkeypatch.setattr(audit, "_STUCK_SECONDS", 0.0)
    monkeypatch.setattr(os, "write", hang)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.write, {"n": 1})
            await anyio.to_thread.run_sync(hangs.wait)
            with pytest.raises(AuditError, match="the disk has not taken an earlier record"):
                await log.write({"n": 2})
            goes_on.set()
        await log.write({"n": 3})
    assert records(tmp_path / "audit.jsonl") == [1, 3]


_WRITE_MANY = """
import sys, anyio
from pathlib import Path
from databricks_responses_mcp.service.audit import AuditFile

async def main():
    log = AuditFile(Path(sys.argv[1]), max_bytes=2_000, max_files=1000, is_strict=False)
    for number in range(200):
        await log.write({"n": int(sys.argv[2]) + number})

anyio.run(main)
"""


def test_several_processes_lose_no_line_while_they_rotate_one_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITE_MANY, str(path), str(1000 * number)]) for number in range(3)
    ]
    assert [process.wait(DEADLINE_SECONDS) for process in processes] == [0, 0, 0]
    written = records(*(file for file in tmp_path.iterdir() if file.suffix != ".lock"))
    assert sorted(written) == [1000 * process + number for process in range(3) for number in range(200)]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
async def test_the_documented_command_lists_refused_calls(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    command = page.partition("```sh\n")[2].partition("```")[0]
    log = audit_file(tmp_path / "audit.jsonl")
    for outcome in ("completed", "refused"):
        await log.write({"time": "2026-01-01", "user": "alice", "tool": "ask", "outcome": outcome, "rule": "r"})
    shown = await anyio.run_process(["bash", "-c", command], cwd=tmp_path)
    assert shown.stdout == b"2026-01-01\talice\task\tr\n"
