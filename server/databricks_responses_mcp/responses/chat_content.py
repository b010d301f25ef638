"""The ``content`` of a chat answer: text, or a list of parts, of which servers have many kinds."""

from collections.abc import Iterator
from typing import Any

Piece = tuple[str, str, dict[str, Any]]
"""The kind (text, refusal, summary, thought, signature, closed, picture), the text, and the part that contained it."""


def read_content(content: Any) -> Iterator[Piece]:
    """Yield the pieces of the content in order; what cannot be read is left out."""
    if isinstance(content, str):
        if content:
            yield "text", content, {}
    elif isinstance(content, dict):
        yield from _part(content)
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str) and part:
                yield "text", part, {}
            elif isinstance(part, dict):
                yield from _part(part)


def _part(part: dict[str, Any]) -> Iterator[Piece]:
    kind = part.get("type")
    if kind == "reasoning":
        yield from _reasoning(part)
    elif kind == "thinking":
        yield from _pieces(part, thought="thinking", signature="signature")
    elif kind == "redacted_thinking":
        yield "closed", "", {"type": "summary_encrypted_text", "data": part.get("data")}
    elif kind == "refusal":
        yield from _pieces(part, refusal="refusal")
    elif kind == "image_url":
        yield from _picture(part)
    else:
        yield from _pieces(part, text="text")


def _reasoning(part: dict[str, Any]) -> Iterator[Piece]:
    summary = part.get("summary")
    if not isinstance(summary, list):
        yield from _pieces(part, thought="text", signature="signature")
        return
    for piece in summary:
        if isinstance(piece, str) and piece:
            yield "summary", piece, {}
        elif isinstance(piece, dict) and piece.get("type") in (None, "summary_text"):
            yield from _pieces(piece, summary="text", signature="signature")
        elif isinstance(piece, dict):
            yield "closed", "", piece


def _picture(part: dict[str, Any]) -> Iterator[Piece]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        return
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:image/") and head.endswith(";base64"):
        yield "picture", data, part
    else:
        yield "text", f"![image]({url})", part


def _pieces(part: dict[str, Any], **names: str) -> Iterator[Piece]:
    for kind, name in names.items():
        if isinstance(text := part.get(name), str) and text:
            yield kind, text, part
