"""The text of a request's documents, for models that do not accept documents."""

import base64
import binascii
import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread

from databricks_responses_mcp.documents.pdf_reader import MAX_CHARACTERS
from databricks_responses_mcp.documents.pdf_text import can_read_pdfs, read_pdf
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.sanitize import sanitize_text
from databricks_responses_mcp.visible import visible

_MAX_CACHED = 16
"""The number of texts that are cached for later turns of their conversations."""
_MAX_CONCURRENT = 2
_DOCUMENT = "input_file"


@dataclass(slots=True)
class Converted:
    """Items whose documents are replaced by text.

    Attributes:
        notes: describe what the model received instead of each document.
        problems: say why a document could not be replaced, one sentence each.
    """

    items: list[Item]
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class DocumentTexts:
    """Reads each document once, even if it is part of every turn of a conversation."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._limiter = anyio.CapacityLimiter(_MAX_CONCURRENT)

    async def convert(self, items: Sequence[Item]) -> Converted:
        """Replace each document in the items by its text, where the text can be read."""
        converted = Converted([])
        for item in items:
            content = item.get("content")
            if not has_documents([item]) or not isinstance(content, list):
                converted.items.append(item)
                continue
            parts = [await self._part(part, converted) if _is_document(part) else part for part in content]
            converted.items.append({**item, "content": parts})
        return converted

    async def _part(self, part: Mapping[str, Any], converted: Converted) -> Mapping[str, Any]:
        name = visible(str(part.get("filename") or part.get("file_url") or "file"))[:200]
        data = part.get("file_data")
        if not isinstance(data, str):
            converted.problems.append(f"{name} is not at hand: only its address was given.")
            return part
        digest = await anyio.to_thread.run_sync(lambda: hashlib.sha256(data.encode()).hexdigest())
        if digest not in self._texts:
            text, said = await self._read(data)
            if not text:
                converted.problems.append(f"{name} cannot be converted to text: {said}.")
                return part
            self._texts[digest] = text, said
            while len(self._texts) > _MAX_CACHED:
                self._texts.popitem(last=False)
        text, said = self._texts[digest]
        converted.notes.append(
            f"The model does not accept documents: it received the text of {name} ({said}), without layout and images."
        )
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return {"type": "input_text", "text": f"File: {name} ({said})\n{fence}\n{text}\n{fence}"}

    async def _read(self, data_url: str) -> tuple[str, str]:
        """Return the text of a document and a description; or no text and the reason."""
        head, _, payload = data_url.partition(",")
        try:
            data = await anyio.to_thread.run_sync(lambda: base64.b64decode(payload, validate=True))
        except (binascii.Error, ValueError):
            return "", "its data is not base64"
        if head.startswith("data:text/"):
            text = data.decode("utf-8", "replace")
            cut = f", cut to {MAX_CHARACTERS} characters" if len(text) > MAX_CHARACTERS else ""
            return text[:MAX_CHARACTERS], f"text{cut}"
        if not head.startswith("data:application/pdf"):
            return "", "only text of PDFs can be read; save it as PDF or text"
        if not can_read_pdfs():
            return "", "reading PDFs needs `pip install databricks-responses-mcp[pdf]`"
        read = await read_pdf(data, self._limiter)
        if read.problem:
            # The message of the library, which may repeat content of the file.
            return "", visible(read.problem)
        pages = f"{read.pages} page{'' if read.pages == 1 else 's'}"
        part = f"the first {read.read} of {pages}" if read.read < read.pages or read.cut else pages
        # The characters come from the file and may include lone surrogates, which no request can contain.
        return sanitize_text(read.text), f"{part}, extracted from the PDF"


def has_documents(items: Any) -> bool:
    """Return whether a message among the items has a document."""
    return any(_is_document(part) for part in _parts(items))


def _parts(items: Any) -> Iterator[Any]:
    for item in items if isinstance(items, list) else ():
        content = item.get("content") if isinstance(item, Mapping) else None
        if isinstance(content, list):
            yield from content


def _is_document(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == _DOCUMENT
