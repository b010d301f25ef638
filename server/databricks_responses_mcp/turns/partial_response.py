"""The part of a call's answers that has arrived, readable during the call."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, is_paid
from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.turns.outcome import add_usage, outcome_of
from databricks_responses_mcp.workspace.secret_values import SecretValues


class PartialResponse:
    """The answers to one call's requests, the newest last.

    Attributes:
        conversation_id: the conversation of the call's turn, once the turn is stored.

    Args:
        secrets: values that are removed from everything this object returns.
    """

    def __init__(self, secrets: SecretValues | None = None) -> None:
        self.conversation_id: str | None = None
        self._secrets = SecretValues() if secrets is None else secrets
        self._streams: list[tuple[ResponseAssembler, str]] = []

    def hide(self, values: Iterable[str]) -> None:
        """Remove ``values`` as well from everything that this object returns from now on."""
        self._secrets = self._secrets.with_more(values)

    def without_secrets(self, value: Any) -> Any:
        """Return a JSON value without the secrets of this call."""
        return self._secrets.remove_from(value)

    def add(self, assembler: ResponseAssembler, endpoint: str) -> None:
        """Add the answer to a request that is about to be sent; ``assembler`` receives its events."""
        self._streams.append((assembler, endpoint))

    @property
    def events(self) -> int:
        """The number of events that have arrived; an equal number means that nothing has changed."""
        return sum(assembler.events for assembler, _ in self._streams)

    @property
    def tail(self) -> str:
        """Return the end of the newest answer's text, commentary included."""
        tail: str = self._secrets.remove_from(self._streams[-1][0].tail if self._streams else "")
        return tail

    def attach(self, error: BridgeError) -> BridgeError:
        """Return ``error`` with what the call's requests have received, which may have been paid for.

        Existing partial fields of the error are kept, except the usage, which is the sum of all requests.
        """
        received = self.structured() if self.events else {}
        if not is_paid(received):
            return error
        if not error.partial:
            return replace(error, partial=received)
        return replace(error, partial={**error.partial, **{k: v for k, v in received.items() if k == "usage"}})

    def structured(self) -> dict[str, Any]:
        """Return what has arrived, as fields of the result: text and usage of all answers, the rest of the newest."""
        if not self._streams:
            return {}
        outcomes = [outcome_of(assembler.result(), endpoint) for assembler, endpoint in self._streams]
        structured = outcomes[-1].as_dict()
        structured["text"] = "\n\n".join(outcome.text for outcome in outcomes if outcome.text)
        usage: dict[str, Any] | None = None
        for outcome in outcomes:
            usage = add_usage(usage, outcome.usage)
        if usage:
            structured["usage"] = usage
        # Calls of an incomplete answer are not pending and cannot be answered.
        for name in ("response_id", "pending_calls"):
            structured.pop(name, None)
        if self.conversation_id is not None:
            structured["conversation_id"] = self.conversation_id
        return self._secrets.remove_from(structured)
