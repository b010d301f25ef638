"""A host of a server process that ends in one of several ways, and the next process of the same store."""

import signal
import sys
from typing import Any

import anyio

from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import Raw

GET = "get_response"
ENDS = ["stdin closed"] if sys.platform == "win32" else ["stdin closed", "SIGTERM", "SIGKILL"]
"""How a process ends."""


class ProcessHost:
    """A host of one server process."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self._number = 0

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured content."""
        self._number += 1
        answer = await self.raw.ask(self._number, "tools/call", name=tool, arguments=arguments)
        facts: dict[str, Any] = answer["result"]["structuredContent"]
        return facts

    async def wait_for_text(self, response_id: str) -> dict[str, Any]:
        """Poll a running call until it has received text."""
        while True:
            facts = await self.call(GET, response_id=response_id, wait_seconds=0)
            if facts.get("text"):
                return facts

    async def end(self, how: str) -> None:
        """End the process, and wait until it is gone."""
        process = self.raw.process
        if how == "stdin closed":
            assert process.stdin is not None
            await process.stdin.aclose()
        else:
            process.send_signal(signal.SIGTERM if how == "SIGTERM" else signal.SIGKILL)
        with anyio.fail_after(DEADLINE_SECONDS):
            await process.wait()


async def start_host(raw: Raw) -> ProcessHost:
    await raw.initialize()
    return ProcessHost(raw)
