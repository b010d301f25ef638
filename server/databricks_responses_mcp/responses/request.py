"""The body of a Responses request, from the caller's arguments.

Source: ``POST /serving-endpoints/responses``. ``input`` is always a list of items, as agents require; a parameter that
the caller did not give is not sent, because models refuse different ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databricks_responses_mcp.responses.unique_ids import unique_items


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInput:
    """A file that is sent to the model unchanged.

    Attributes:
        name: a file name with the extension of its type.
        mime_type: determines the part of a message: audio, video, or a document.
        url: ``data:`` or ``https:``.
    """

    name: str
    mime_type: str
    url: str

    def part(self) -> dict[str, Any]:
        """Return the part of a message. Recordings and videos have the format of the chat API, the only one that
        supports them.
        """
        for medium in ("audio", "video"):
            if self.mime_type.startswith(f"{medium}/"):
                return {"type": f"{medium}_url", f"{medium}_url": {"url": self.url}}
        if self.url.startswith("data:"):
            return {"type": "input_file", "filename": self.name, "file_data": self.url}
        return {"type": "input_file", "file_url": self.url}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The user's message of one turn.

    Attributes:
        text: the text, with text files included.
        images: image URLs (``data:`` or ``https:``), sent in this order.
        files: documents, recordings and videos.
    """

    text: str
    images: Sequence[str] = ()
    files: Sequence[FileInput] = ()

    def items(self) -> list[dict[str, Any]]:
        """Return the input items: one user message."""
        content: list[dict[str, Any]] = [{"type": "input_text", "text": self.text}]
        content += [{"type": "input_image", "image_url": url, "detail": "auto"} for url in self.images]
        content += [file.part() for file in self.files]
        return [{"type": "message", "role": "user", "content": content}]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The parameters of the API that the bridge names; None means not sent.

    Attributes:
        extra: other parameters, verbatim. A name that is given here and above is an error of the caller.
    """

    instructions: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text_format: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


RESERVED = frozenset({"model", "input", "stream"})
"""Parameters that the bridge sets: ``extra`` must not contain them."""


def build_request(model: str, items: Sequence[dict[str, Any]], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body that asks ``model`` to continue after ``items``; repeated ids are renamed."""
    return {"model": model, "input": unique_items(items), "stream": True, **parameters}


def build_parameters(options: RequestOptions) -> dict[str, Any]:
    """Return a body without model and input; ``reasoning`` and ``text`` of ``extra`` are merged with the named
    options.
    """
    parameters: dict[str, Any] = {}
    if options.instructions:
        parameters["instructions"] = options.instructions
    for name in ("max_output_tokens", "temperature", "top_p", "tool_choice", "parallel_tool_calls", "max_tool_calls"):
        value = getattr(options, name)
        if value is not None:
            parameters[name] = value
    if options.tools:
        parameters["tools"] = [dict(tool) for tool in options.tools]
    parameters.update(options.extra)
    if options.reasoning_effort is not None:
        parameters["reasoning"] = {**_object(parameters.get("reasoning")), "effort": options.reasoning_effort}
    if options.verbosity is not None:
        parameters["text"] = {**_object(parameters.get("text")), "verbosity": options.verbosity}
    if options.text_format is not None:
        parameters["text"] = {**_object(parameters.get("text")), "format": dict(options.text_format)}
    return parameters


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
