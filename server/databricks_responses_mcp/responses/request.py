"""The body of a Responses request, from what a caller asked for.

Source: ``POST /serving-endpoints/responses``. ``input`` is always a list of items, as agents require; a parameter that
the caller did not give is not sent, since models differ in what they refuse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What one turn says to the model.

    Attributes:
        text: the words.
        images: image URLs (``data:`` or ``https:``), shown to the model in this order.
    """

    text: str
    images: Sequence[str] = ()

    def items(self) -> list[dict[str, Any]]:
        """The input items: one user message."""
        content: list[dict[str, Any]] = [{"type": "input_text", "text": self.text}]
        content += [{"type": "input_image", "image_url": url, "detail": "auto"} for url in self.images]
        return [{"type": "message", "role": "user", "content": content}]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The parameters of the API that the bridge names; None means not sent.

    Attributes:
        extra: any other parameters, verbatim; they win over nothing: a name given twice is an error of the caller.
    """

    instructions: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


RESERVED = frozenset({"model", "input", "stream"})
"""Parameters that the bridge owns: ``extra`` may not carry them."""


def build_request(model: str, prompt: Prompt, options: RequestOptions) -> dict[str, Any]:
    """The JSON body that asks ``model``; ``reasoning`` and ``text`` of ``extra`` are merged with the named options."""
    body: dict[str, Any] = {"model": model, "input": prompt.items(), "stream": True}
    if options.instructions:
        body["instructions"] = options.instructions
    for name in ("max_output_tokens", "temperature", "top_p", "tool_choice"):
        value = getattr(options, name)
        if value is not None:
            body[name] = value
    if options.tools:
        body["tools"] = [dict(tool) for tool in options.tools]
    body.update(options.extra)
    if options.reasoning_effort is not None:
        body["reasoning"] = {**_object(body.get("reasoning")), "effort": options.reasoning_effort}
    if options.verbosity is not None:
        body["text"] = {**_object(body.get("text")), "verbosity": options.verbosity}
    return body


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
