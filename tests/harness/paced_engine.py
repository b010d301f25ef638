"""An engine of the emulator whose answers take as long as the prompt says: ``[[pause 3]]`` waits three seconds."""

import re
from collections.abc import AsyncIterator

import anyio

from databricks_workspace_emulator.engines.base import TextRequest
from databricks_workspace_emulator.engines.rules import RulesEngine

_PAUSE = re.compile(r"\[\[pause (\d+(?:\.\d+)?)\]\]")


class PacedEngine(RulesEngine):
    """The rule engine with pauses: half of the words come before one, so that a call has something to show."""

    async def stream(self, request: TextRequest) -> AsyncIterator[str]:
        """Yield the answer."""
        asked = next(str(message.content) for message in reversed(request.messages) if message.role == "user")
        pause = _PAUSE.search(asked)
        words = [word async for word in super().stream(request)]
        for number, word in enumerate(words):
            if pause is not None and number == len(words) // 2:
                await anyio.sleep(float(pause[1]))
            yield word
