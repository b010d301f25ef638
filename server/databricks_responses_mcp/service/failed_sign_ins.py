"""The log of requests whose user could not be signed in: for an administrator who looks for a cause, or an attack."""

import logging
import time

from starlette.types import Scope

logger = logging.getLogger(__name__)

MOST_PER_MINUTE = 30
"""Anybody can send such requests, so more lines than these would only fill the disk."""

_MINUTE = 60.0


class TokenRefusedError(Exception):
    """A token that is not valid here. The text is the reason, which has nothing of the token.

    Args:
        reason: completes "a sign-in failed: …".
        is_routine: whether it happens to every user now and then.
    """

    def __init__(self, reason: str, *, is_routine: bool = False) -> None:
        super().__init__(reason)
        self.is_routine = is_routine


class FailedSignIns:
    """Logs refused credentials with the reason, the sender's address and the id of the request.

    Args:
        most_per_minute: lines in a minute; above that they are only counted.
    """

    def __init__(self, most_per_minute: int = MOST_PER_MINUTE) -> None:
        self._most = most_per_minute
        self._minute_began = float("-inf")
        self._count = 0

    def report(self, scope: Scope, reason: str, *, is_routine: bool = False) -> None:
        """Log one failure: as a warning, or if it is routine, as information."""
        if time.monotonic() - self._minute_began >= _MINUTE:
            self._report_unlogged()
            self._minute_began, self._count = time.monotonic(), 0
        self._count += 1
        if self._count <= self._most:
            state, client = scope.get("state", {}), scope.get("client")
            fields = {"request_id": state.get("request_id", ""), "address": client[0] if client else ""}
            level = logging.INFO if is_routine else logging.WARNING
            logger.log(level, "a sign-in failed: %s", reason, extra={"fields": fields})
        elif self._count == self._most + 1:
            logger.warning("more failed sign-ins of this minute are only counted")

    def _report_unlogged(self) -> None:
        if self._count > self._most:
            logger.warning("%d more sign-ins had failed in that minute", self._count - self._most)
