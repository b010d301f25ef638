"""Calls that wait for their host to ask the user: what they had so far, for when the host calls again."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks_responses_mcp.calls.generated_images import PictureTaker
    from databricks_responses_mcp.turns.outcome import Outcome

_MOST = 100


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One call's share so far, which no result has told yet."""

    outcome: "Outcome"
    taker: "PictureTaker"


class UnfinishedCalls:
    """The calls of this process that wait, by conversation; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, Unfinished] = OrderedDict()

    def keep(self, conversation_id: str, call: Unfinished) -> None:
        """Remember a call until it goes on."""
        self._calls[conversation_id] = call
        while len(self._calls) > _MOST:
            self._calls.popitem(last=False)

    def take(self, conversation_id: str) -> Unfinished | None:
        """What was kept, once; None if nothing was, or no longer is."""
        return self._calls.pop(conversation_id, None)
