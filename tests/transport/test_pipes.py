"""The writer of stdout: short messages are written at once, and a host that does not read holds nothing else up."""

import json
import os
import sys
import threading
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from mcp.shared.message import SessionMessage
from mcp_types.jsonrpc import JSONRPCResponse

from databricks_responses_mcp.transport import pipes
from harness.deadlines import DEADLINE_SECONDS

_MESSAGES = 100


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows a thread writes all messages")
@pytest.mark.anyio
async def test_a_host_that_does_not_read_holds_up_nothing_but_its_own_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    to_server, from_host = os.pipe()
    to_host, from_server = os.pipe()
    sent: list[int] = []
    lines: list[bytes] = []
    with (
        os.fdopen(to_server, "rb") as stdin,
        os.fdopen(from_server, "wb") as stdout,
        os.fdopen(to_host, "rb") as host,
        os.fdopen(from_host, "wb") as host_input,
    ):
        monkeypatch.setattr(pipes, "_own_pipes", lambda: _Both(stdin, stdout))
        filled = _fill(from_server)

        host_reads = threading.Event()

        def read_all() -> list[bytes]:
            # A writer that blocks the event loop is released in the end, so that the test fails instead of hanging.
            host_reads.wait(DEADLINE_SECONDS)
            assert host.read(filled) == b"\n" * filled
            return [host.readline() for _ in range(_MESSAGES)]

        async def receive_all() -> None:
            lines.extend(await anyio.to_thread.run_sync(read_all))

        async def send_all() -> None:
            for number in range(_MESSAGES):
                result = {"number": number, "text": "x" * 1000}
                await outgoing.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=number, result=result)))
                sent.append(number)

        with anyio.fail_after(2 * DEADLINE_SECONDS):
            async with (
                pipes.stdio_streams() as (incoming, outgoing),
                incoming,
                outgoing,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(receive_all)
                tasks.start_soon(send_all)
                # The writer has the first message and waits for the host; the event loop runs.
                await anyio.wait_all_tasks_blocked()
                sent_before_reading = sent.copy()
                host_reads.set()
                host_input.close()
    assert sent_before_reading == [0]
    assert [json.loads(line)["id"] for line in lines] == list(range(_MESSAGES))


def _fill(pipe: int) -> int:
    """Write line feeds to a pipe until it takes no more; return their number."""
    filled = 0
    os.set_blocking(pipe, False)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                filled += os.write(pipe, b"\n" * size)
    os.set_blocking(pipe, True)
    return filled


class _Both:
    """The context of `pipes._own_pipes`, with pipes of the test."""

    def __init__(self, *streams: object) -> None:
        self._streams = streams

    def __enter__(self) -> tuple[object, ...]:
        return self._streams

    def __exit__(self, *exc: object) -> None:
        """Close nothing."""
