import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from databricks_responses_mcp.workspace.sdk_children import ContainedSubprocess
from harness.deadlines import DEADLINE_SECONDS

contained = ContainedSubprocess(timeout_seconds=30)
ECHO = "import sys; sys.stdout.write(repr(sys.stdin.read()))"


def test_a_child_reads_nothing_from_our_standard_input(
    run_with_open_input: Callable[[str, int], list[str]],
) -> None:
    """Ours is a pipe that holds a request and stays open: a child that inherits it takes it, or hangs."""
    program = (
        "import sys\n"
        "from databricks_responses_mcp.workspace.sdk_children import ContainedSubprocess\n"
        "contained = ContainedSubprocess(30)\n"
        f"child = [sys.executable, '-c', {ECHO!r}]\n"
        "print(contained.run(child, input=None, capture_output=True, timeout=None, check=True).stdout)\n"
        "print(contained.check_output(child))\n"
        "print(sys.stdin.readline())\n"
    )
    lines = run_with_open_input(program, 3)
    assert lines == ["b\"''\"", "b\"''\"", "request"]


def test_input_that_the_caller_gives_still_arrives() -> None:
    done = contained.run([sys.executable, "-c", ECHO], input=b"x", capture_output=True)
    assert done.stdout == b"'x'"


def test_a_child_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    mark = tmp_path / "ended"
    program = f"import time, pathlib; time.sleep(60); pathlib.Path({str(mark)!r}).touch()"
    with pytest.raises(subprocess.TimeoutExpired):
        ContainedSubprocess(0.2).run([sys.executable, "-c", program], capture_output=True, timeout=None)
    assert not mark.exists()


def test_a_failing_child_is_told_as_the_standard_library_tells_it() -> None:
    child = [sys.executable, "-c", "import sys; sys.stderr.write('why'); sys.exit(3)"]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        contained.run(child, capture_output=True, check=True)
    assert (caught.value.returncode, caught.value.stderr) == (3, b"why")
    assert contained.run(child, capture_output=True).returncode == 3
    with pytest.raises(FileNotFoundError):
        contained.run(["no-such-program-anywhere"])


def test_everything_else_is_the_standard_module() -> None:
    assert contained.CalledProcessError is subprocess.CalledProcessError
    assert contained.PIPE == subprocess.PIPE


def test_no_child_outlives_us() -> None:
    """The grandchild holds our output open: reading to the end returns only once it is gone."""
    program = (
        "import sys, threading\n"
        "from databricks_responses_mcp.workspace import sdk_children\n"
        "child = [sys.executable, '-c', 'import time; print(flush=True); time.sleep(600)']\n"
        "run = sdk_children.ContainedSubprocess(600).run\n"
        "threading.Thread(target=run, args=(child,), daemon=True).start()\n"
        "while not sdk_children._running: pass\n"
    )
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=DEADLINE_SECONDS, check=True)
