"""The writer of stdout: short messages are written at once, and a host that does not read holds nothing else up."""

import json
import os
import sys

import anyio
import anyio.to_thread
import pytest
from mcp.shared.message import SessionMessage
from mcp_types.jsonrpc import JSONRPCResponse

from databricks_responses_mcp.transport import pipes
from harness.deadlines import DEADLINE_SECONDS

_MESSAGES = 400
"""Of 1 kB each: several times what a pipe holds."""


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows a thread writes all messages")
@pytest.mark.anyio
async def test_a_host_that_does_not_read_holds_up_nothing_but_its_own_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    to_server, from_host = os.pipe()
    to_host, from_server = os.pipe()
    sent: list[int] = []
    with (
        os.fdopen(to_server, "rb") as stdin,
        os.fdopen(from_server, "wb") as stdout,
        os.fdopen(to_host, "rb") as host,
        os.fdopen(from_host, "wb") as host_input,
    ):
        monkeypatch.setattr(pipes, "_own_pipes", lambda: _Both(stdin, stdout))

        async def send_all() -> None:
            for number in range(_MESSAGES):
                result = {"number": number, "text": "x" * 1000}
                await outgoing.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=number, result=result)))
                sent.append(number)

        with anyio.fail_after(DEADLINE_SECONDS):
            async with (
                pipes.stdio_streams() as (incoming, outgoing),
                incoming,
                outgoing,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(send_all)
                stopped_at = -1
                # The event loop goes on while the pipe is full; it is full once nothing more is taken.
                while len(sent) != stopped_at:
                    stopped_at = len(sent)
                    await anyio.sleep(0.2)
                assert 0 < stopped_at < _MESSAGES
                lines = await anyio.to_thread.run_sync(lambda: [host.readline() for _ in range(_MESSAGES)])
                host_input.close()
    assert [json.loads(line)["id"] for line in lines] == list(range(_MESSAGES))


class _Both:
    """The context of `pipes._own_pipes`, with pipes of the test."""

    def __init__(self, *streams: object) -> None:
        self._streams = streams

    def __enter__(self) -> tuple[object, ...]:
        return self._streams

    def __exit__(self, *exc: object) -> None:
        """Close nothing."""
