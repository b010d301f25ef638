"""A server lives as long as whoever wants it, however that one ends. Real processes, and the kernel's word for it."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from databricks_workspace_emulator.engines import keeper
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the local engine runs on Linux only")

# Says its process id on the way that the test gave it, then lives on.
SERVER = """
import os, signal, sys, time
{setup}
with open(sys.argv[1], "w") as fifo: fifo.write(str(os.getpid()))
time.sleep(120)
"""


@contextlib.contextmanager
def pid_of_server(fifo: Path) -> Iterator[int]:
    """A handle of the process that writes its id to the fifo."""
    with fifo.open() as written:
        pid = int(written.read())
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)


def has_ended(handle: int) -> bool:
    return bool(select.select([handle], [], [], 15)[0])


def command(tmp_path: Path, owner: int | str, setup: str = "") -> list[str]:
    os.mkfifo(tmp_path / "fifo")
    server = [sys.executable, "-c", SERVER.format(setup=setup), str(tmp_path / "fifo")]
    return [sys.executable, "-I", "-S", keeper.__file__, str(owner), str(tmp_path / "log"), *server]


@pytest.mark.slow
@pytest.mark.parametrize("setup", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_the_server_ends_with_the_pipe_even_if_it_ignores_being_asked(setup: str, tmp_path: Path) -> None:
    process = subprocess.Popen(command(tmp_path, os.getpid(), setup), stdin=subprocess.PIPE)
    with pid_of_server(tmp_path / "fifo") as server:
        assert process.stdin is not None
        process.stdin.close()
        assert has_ended(server)
    assert process.wait(DEADLINE_SECONDS) in {128 + signal.SIGTERM, 128 + signal.SIGKILL}


def test_the_server_ends_with_a_keeper_that_is_killed(tmp_path: Path) -> None:
    with (
        subprocess.Popen(command(tmp_path, os.getpid()), stdin=subprocess.PIPE) as process,
        pid_of_server(tmp_path / "fifo") as server,
    ):
        process.kill()
        assert has_ended(server)


@pytest.mark.slow
@pytest.mark.parametrize("a_fork_holds_the_pipe", [False, True])
def test_the_server_ends_with_an_owner_that_is_killed(a_fork_holds_the_pipe: bool, tmp_path: Path) -> None:
    arguments = command(tmp_path, "OWNER")
    owner = (
        "import os, subprocess, sys, time\n"
        "command = [str(os.getpid()) if word == 'OWNER' else word for word in sys.argv[2:]]\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)\n"
        "if sys.argv[1] == 'True' and os.fork() == 0: time.sleep(20); os._exit(0)\n"
        "time.sleep(120)\n"
    )
    with (
        subprocess.Popen([sys.executable, "-c", owner, str(a_fork_holds_the_pipe), *arguments]) as process,
        pid_of_server(tmp_path / "fifo") as server,
    ):
        process.kill()
        assert has_ended(server)


def test_its_log_keeps_the_end_of_a_lot_of_output(tmp_path: Path) -> None:
    loud = [sys.executable, "-c", "for n in range(200_000): print(n)"]
    arguments = [sys.executable, keeper.__file__, str(os.getpid()), str(tmp_path / "log"), *loud]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:
        assert process.wait(DEADLINE_SECONDS) == 0
    log = (tmp_path / "log").read_bytes()
    assert log.endswith(b"199998\n199999\n")
    assert len(log) < 512 * 1024


def test_a_server_that_cannot_be_started_is_told_in_the_log(tmp_path: Path) -> None:
    arguments = [sys.executable, keeper.__file__, str(os.getpid()), str(tmp_path / "log"), "/nowhere/server"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:
        assert process.wait(DEADLINE_SECONDS) == 127
    assert (tmp_path / "log").read_text() == "cannot start /nowhere/server: No such file or directory\n"
