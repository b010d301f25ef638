"""What can be seen of a call from outside while it goes on: as far as its answers have come."""

from contextvars import ContextVar
from typing import Any

from databricks_responses_mcp.responses.assembly import ResponseAssembler
from databricks_responses_mcp.turns.outcome import outcome_of
from databricks_responses_mcp.workspace.secret_values import SecretValues

current_sight: ContextVar["Sight | None"] = ContextVar("current_sight", default=None)
"""That of the call which is running."""


class Sight:
    """One call's requests, the newest last.

    Attributes:
        conversation_id: the conversation that the call is a turn of, once it is kept.
        secrets: what must not be shown of what arrives.
    """

    def __init__(self) -> None:
        self.conversation_id: str | None = None
        self.secrets = SecretValues()
        self._streams: list[tuple[ResponseAssembler, str]] = []

    def see(self, assembler: ResponseAssembler, endpoint: str) -> None:
        """A request goes out, whose answer will be assembled there."""
        self._streams.append((assembler, endpoint))

    @property
    def events(self) -> int:
        """How many events have come: whoever sees the same number again need not look."""
        return sum(assembler.events for assembler, _ in self._streams)

    @property
    def tail(self) -> str:
        """The end of the text of the newest answer."""
        return self.secrets.remove(self._streams[-1][0].tail if self._streams else "")

    def facts(self) -> dict[str, Any]:
        """What has arrived, in the result contract's fields: the words of all answers, the rest of the newest."""
        if not self._streams:
            return {}
        outcomes = [outcome_of(assembler.result(), endpoint) for assembler, endpoint in self._streams]
        facts = outcomes[-1].as_dict()
        facts["text"] = "\n\n".join(outcome.text for outcome in outcomes if outcome.text)
        # Calls of an answer that is not whole are not waiting, and cannot be answered.
        for name in ("response_id", "pending_calls"):
            facts.pop(name, None)
        if self.conversation_id is not None:
            facts["conversation_id"] = self.conversation_id
        return self.secrets.remove_from(facts)
