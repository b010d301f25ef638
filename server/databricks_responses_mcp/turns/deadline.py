"""The time of one call: one deadline over everything that it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from databricks_responses_mcp.errors import SEE_DOCTOR, BridgeError, ErrorCode


class Clock:
    """Counts down from the moment it is made.

    Args:
        seconds: how long the call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = anyio.current_time() + seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline, never less than a moment: what is begun may notice it by itself."""
        return max(self._end - anyio.current_time(), 0.001)

    @asynccontextmanager
    async def bounds(self, doing: str) -> AsyncIterator[None]:
        """End what happens in the context at the deadline.

        Args:
            doing: names it in the error, as in "while choosing a model".

        Raises:
            BridgeError: ``timeout``.
        """
        with anyio.move_on_after(self.left) as scope:
            yield
        if scope.cancelled_caught:
            raise BridgeError(
                ErrorCode.TIMEOUT,
                f"The {self._seconds:.0f} s of this call ran out while {doing}.",
                f"Check that the workspace answers, or raise RESPONSES_MCP_TIMEOUT_SECONDS. {SEE_DOCTOR}",
                retryable=True,
            )
