import subprocess
import sys
import threading

import anyio
import pytest

from databricks_responses_mcp.workspace.single_flight import Flight
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio


async def test_everyone_who_waits_gets_the_one_result() -> None:
    gate, calls, results = threading.Event(), [], []

    def work() -> str:
        calls.append(threading.current_thread())
        gate.wait(DEADLINE_SECONDS)
        return "done"

    flight = Flight(work, "test")

    async def wait() -> None:
        results.append(await flight.result())

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert not flight.landed
            gate.set()
    assert results == ["done"] * 20
    assert len(calls) == 1
    assert calls[0].daemon
    assert await flight.result() == "done"


async def test_an_exception_reaches_everyone_who_waits() -> None:
    def work() -> None:
        raise LookupError("lost")

    flight = Flight(work, "test")
    with anyio.fail_after(DEADLINE_SECONDS):
        for _ in range(2):
            with pytest.raises(LookupError, match="lost"):
                await flight.result()


async def test_a_call_that_asks_to_exit_fails_instead() -> None:
    with anyio.fail_after(DEADLINE_SECONDS), pytest.raises(RuntimeError, match="SystemExit"):
        await Flight(sys.exit, "test").result()


async def test_a_cancelled_wait_leaves_the_call_to_the_others() -> None:
    gate = threading.Event()
    flight = Flight(lambda: gate.wait(DEADLINE_SECONDS), "test")
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flight.result)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        gate.set()
        assert await flight.result() is True


def test_a_call_that_never_ends_does_not_keep_the_process() -> None:
    program = (
        "import anyio, threading\n"
        "from databricks_responses_mcp.workspace.single_flight import Flight\n"
        "async def main():\n"
        "    flight = Flight(threading.Event().wait, 'stuck')\n"
        "    with anyio.move_on_after(0.05):\n"
        "        await flight.result()\n"
        "    print('left')\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    assert done.stdout == "left\n"
    assert done.stderr == ""


def test_a_call_that_outlives_its_event_loop_ends_in_silence() -> None:
    program = (
        "import anyio, threading\n"
        "from databricks_responses_mcp.workspace.single_flight import Flight\n"
        "gate = threading.Event()\n"
        "flights = []\n"
        "async def main():\n"
        "    flights.append(Flight(gate.wait, 'late'))\n"
        "    with anyio.move_on_after(0.05):\n"
        "        await flights[0].result()\n"
        "anyio.run(main)\n"
        "gate.set()\n"
        "async def again():\n"
        "    print(await flights[0].result())\n"
        "anyio.run(again)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
