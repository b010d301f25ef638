"""What can be seen of a call from outside while it goes on: as far as its answers have come."""

from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, is_paid
from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.turns.joining import total_usage
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
        """The end of the text of the newest answer, commentary included."""
        tail: str = self.secrets.remove_from(self._streams[-1][0].tail if self._streams else "")
        return tail

    def attach(self, error: BridgeError) -> BridgeError:
        """Return ``error`` with what the call's requests have received, which may have been paid for.

        What the error has already stays, but for the usage: the call's costs are those of all its requests.
        """
        received = self.facts() if self.events else {}
        if not is_paid(received):
            return error
        if not error.partial:
            return replace(error, partial=received)
        return replace(error, partial={**error.partial, **{k: v for k, v in received.items() if k == "usage"}})

    def facts(self) -> dict[str, Any]:
        """What has arrived, in the result contract's fields: text and usage of all, the rest of the newest."""
        if not self._streams:
            return {}
        outcomes = [outcome_of(assembler.result(), endpoint) for assembler, endpoint in self._streams]
        facts = outcomes[-1].as_dict()
        facts["text"] = "\n\n".join(outcome.text for outcome in outcomes if outcome.text)
        usage: dict[str, Any] | None = None
        for outcome in outcomes:
            usage = total_usage(usage, outcome.usage)
        if usage:
            facts["usage"] = usage
        # Calls of an answer that is not whole are not waiting, and cannot be answered.
        for name in ("response_id", "pending_calls"):
            facts.pop(name, None)
        if self.conversation_id is not None:
            facts["conversation_id"] = self.conversation_id
        return self.secrets.remove_from(facts)
