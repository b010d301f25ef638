"""Fetching the engine: real pip, a real index, real files."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines import pip_source
from databricks_workspace_emulator.engines.artifacts import WITHOUT_IT, directory_name
from databricks_workspace_emulator.engines.download import fetch, find_cached
from databricks_workspace_emulator.engines.index_source import indexes, pip_settings
from databricks_workspace_emulator.engines.pip_source import FetchStoppedError
from harness.deadlines import DEADLINE_SECONDS


def contents(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_only_what_is_needed_is_kept_and_used_again_without_a_network(index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    seen: list[tuple[str, int, int]] = []
    directory = fetch(tmp_path / "cache", [wheel], progress=lambda *step: seen.append(step))
    name = directory_name([wheel])
    assert contents(tmp_path / "cache") == {f"{name}.lock", f"{name}/tiny_engine/payload.bin", f"{name}/manifest.json"}
    assert (directory / "tiny_engine" / "payload.bin").read_bytes() == b"weights" * 1000
    assert seen[-1] == ("tiny-engine", wheel.size, wheel.size)
    index.requests.clear()
    assert fetch(tmp_path / "cache", [wheel]) == directory
    assert index.requests == []


def test_a_wheel_with_another_hash_is_deleted_unopened(index: Any, tmp_path: Path) -> None:
    wheel = dataclasses.replace(index.add(), sha256="ab" * 32)
    with pytest.raises(BridgeError) as failure:
        fetch(tmp_path / "cache", [wheel])
    assert failure.value.code is ErrorCode.UPSTREAM_ERROR
    assert "is not the expected file" in failure.value.message
    assert "instead of abababababab…" in failure.value.message
    assert failure.value.hint == f"Check the index and mirrors that pip is configured with, or {WITHOUT_IT}."
    assert not [path for path in contents(tmp_path / "cache") if path.endswith((".whl", "payload.bin"))]


@pytest.mark.usefixtures("no_pip")
def test_a_wheel_without_the_needed_file_is_not_used(index: Any, tmp_path: Path) -> None:
    wheel = dataclasses.replace(index.add(), members=("tiny_engine/absent.bin",))
    with pytest.raises(BridgeError, match="cannot be unpacked"):
        fetch(tmp_path / "cache", [wheel])
    assert find_cached(tmp_path / "cache", [wheel]) is None


@pytest.mark.usefixtures("no_pip")
def test_a_file_that_is_no_wheel_is_not_used(index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    data = b"not a zip archive"
    (index.directory / wheel.filename).write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    with pytest.raises(BridgeError, match="cannot be unpacked"):
        fetch(tmp_path / "cache", [dataclasses.replace(wheel, sha256=sha256, size=len(data))])


@pytest.mark.usefixtures("no_pip")
def test_a_damaged_file_is_fetched_again_and_a_touched_one_is_not(index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    payload = fetch(tmp_path / "cache", [wheel]) / "tiny_engine" / "payload.bin"
    os.utime(payload, ns=(1, 1))
    index.requests.clear()
    fetch(tmp_path / "cache", [wheel])
    assert index.requests == []
    payload.write_bytes(b"damaged" * 1000)
    assert find_cached(tmp_path / "cache", [wheel]) is None
    fetch(tmp_path / "cache", [wheel])
    assert payload.read_bytes() == b"weights" * 1000
    assert index.requests


@pytest.mark.parametrize("marker", ["", "[]", '{"tiny_engine/payload.bin": 3}', "{}"])
def test_a_cache_whose_marker_is_broken_is_not_trusted(marker: str, index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    directory = tmp_path / "cache" / directory_name([wheel])
    (directory / "tiny_engine").mkdir(parents=True)
    (directory / "tiny_engine" / "payload.bin").write_bytes(b"weights" * 1000)
    (directory / "manifest.json").write_text(marker)
    assert find_cached(tmp_path / "cache", [wheel]) is None


@pytest.mark.usefixtures("no_pip")
def test_a_second_try_does_not_fetch_the_wheel_that_had_arrived(index: Any, tmp_path: Path) -> None:
    first, second = index.add(), index.add("late-model")
    late = index.directory / second.filename
    late.rename(tmp_path / "late")
    with pytest.raises(BridgeError, match="late_model"):
        fetch(tmp_path / "cache", [first, second])
    index.requests.clear()
    (tmp_path / "late").rename(late)
    fetch(tmp_path / "cache", [first, second], progress=lambda *_: None)
    assert index.files_fetched() == [second.filename]


def test_an_index_that_is_not_there_is_retryable(index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = index.add()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(BridgeError) as failure:
        fetch(tmp_path / "cache", [wheel])
    assert failure.value.as_dict(mcp_words) == snapshot(
        {
            "code": "upstream_unavailable",
            "message": "pip could not reach the package index to fetch tiny-engine 1.0.",
            "retryable": True,
            "hint": "Check the network and pip's settings (pip config list) and try again, or choose --engine rules, "
            "or --engine URL of an OpenAI-compatible server.",
        }
    )


def test_a_disk_without_room_is_told_before_anything_is_fetched(index: Any, tmp_path: Path) -> None:
    wheel = dataclasses.replace(index.add(), size=10**18)
    with pytest.raises(BridgeError, match="There is not enough disk space"):
        fetch(tmp_path / "cache", [wheel])
    assert index.requests == []


def test_a_cache_that_cannot_be_written_is_named(index: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BridgeError) as failure:
        fetch(tmp_path / "file" / "cache", [index.add()])
    assert failure.value.code is ErrorCode.NOT_CONFIGURED
    assert "XDG_CACHE_HOME" in failure.value.hint


def test_two_processes_at_once_fetch_one_wheel(index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    program = (
        "import json, sys; from pathlib import Path\n"
        "from databricks_workspace_emulator.engines.artifacts import Artifact\n"
        "from databricks_workspace_emulator.engines.download import fetch\n"
        "fields = json.loads(sys.argv[2]); fields['members'] = tuple(fields['members'])\n"
        "print('ready', flush=True)\n"
        "print(fetch(Path(sys.argv[1]), [Artifact(**fields)]))\n"
    )
    fields = json.dumps(dataclasses.asdict(wheel))
    both_started = threading.Event()
    index.before_file = lambda: both_started.wait(DEADLINE_SECONDS)
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "cache"), fields], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in processes if process.stdout] == [b"ready\n"] * 2
    both_started.set()
    outputs = [process.communicate(timeout=DEADLINE_SECONDS)[0].decode().strip() for process in processes]
    assert outputs == [str(tmp_path / "cache" / directory_name([wheel]))] * 2
    assert index.files_fetched() == [wheel.filename]


def test_a_fetch_that_is_stopped_ends_pip_and_leaves_nothing_to_be_mistaken(index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    stop, released = threading.Event(), threading.Event()

    def hang() -> None:
        stop.set()
        released.wait(DEADLINE_SECONDS)

    index.before_file = hang
    with pytest.raises(FetchStoppedError):
        fetch(tmp_path / "cache", [wheel], stop=stop)
    released.set()
    assert find_cached(tmp_path / "cache", [wheel]) is None


def test_an_environment_without_pip_uses_that_of_the_interpreter_it_was_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "bin" / "python"))
    monkeypatch.setattr(sys, "_base_executable", base)
    assert pip_source.find_pip(threading.Event()) == (base, "-m", "pip")


@pytest.mark.parametrize("speaks_json", [True, False])
@pytest.mark.usefixtures("no_pip")
def test_without_any_pip_the_index_is_asked_directly(speaks_json: bool, index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    index.json = speaks_json
    seen: list[tuple[str, int, int]] = []
    directory = fetch(tmp_path / "cache", [wheel], progress=lambda *step: seen.append(step))
    assert (directory / "tiny_engine" / "payload.bin").read_bytes() == b"weights" * 1000
    assert seen[-1] == ("tiny-engine", wheel.size, wheel.size)


@pytest.mark.usefixtures("no_pip")
def test_a_download_that_breaks_off_is_not_used(index: Any, tmp_path: Path) -> None:
    wheel = index.add()
    index.cut_file_after = 100
    with pytest.raises(BridgeError) as failure:
        fetch(tmp_path / "cache", [wheel])
    assert failure.value.code is ErrorCode.NOT_FOUND
    assert find_cached(tmp_path / "cache", [wheel]) is None


def test_the_indexes_are_those_that_pip_is_configured_with(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.example/simple/\ncert = /ca.pem\n")
    environ = {
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_EXTRA_INDEX_URL": "https://more.example/simple file:///disk",
    }
    settings = pip_settings(environ)
    assert indexes(settings) == ["https://mirror.example/simple", "https://more.example/simple"]
    assert settings["cert"] == "/ca.pem"
    assert indexes(pip_settings({**environ, "PIP_NO_INDEX": "1"})) == []


@pytest.mark.usefixtures("no_pip")
def test_without_pip_and_without_an_index_the_way_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Any
) -> None:
    wheel = index.add()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BridgeError) as caught:
        fetch(tmp_path / "cache", [wheel])
    assert caught.value.code == ErrorCode.NOT_CONFIGURED
    assert "PIP_INDEX_URL" in caught.value.hint
