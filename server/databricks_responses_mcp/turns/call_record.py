"""What one call did, collected while it runs: for limits, logs and the audit log. It contains no text."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from databricks_responses_mcp.store.records import Usage

_MODEL_CHARACTERS = 300


@dataclass(slots=True)
class CallRecord:
    """What one call of a tool or a command did.

    Attributes:
        call_id: its own id.
        models: the endpoints that were asked, in order, each once; the caller names them, so long names are cut.
        surfaces: the surfaces that answered, likewise; the native one is ``responses``.
        conversation_id: the conversation that it was part of.
        requests: how many requests were sent to models.
        input_tokens: of all requests, as far as the workspace reported them.
        output_tokens: likewise.
        cached_tokens: likewise; they are part of the input tokens.
        log_fields: what lines of the log about the call have besides, such as the ids of the request and the user.
    """

    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    models: list[str] = field(default_factory=list)
    surfaces: list[str] = field(default_factory=list)
    conversation_id: str | None = None
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    log_fields: Mapping[str, str] = field(default_factory=dict)

    def add_request(self, model: str, conversation_id: str | None) -> None:
        """Record that a request is to be sent to a model."""
        self.requests += 1
        if len(model) > _MODEL_CHARACTERS:
            model = f"{model[: _MODEL_CHARACTERS - 1]}…"
        if model not in self.models:
            self.models.append(model)
        self.conversation_id = conversation_id or self.conversation_id

    def add_answer(self, surface: str) -> None:
        """Record the surface of an answer."""
        if surface not in self.surfaces:
            self.surfaces.append(surface)

    def add_usage(self, usage: Usage) -> None:
        """Record what a request cost."""
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_tokens += usage.cached_tokens
