"""The text of a PDF, where the optional library for it (``databricks-responses-mcp[pdf]``) is installed."""

import importlib.util
import json
from dataclasses import dataclass

import anyio

from databricks_responses_mcp.bounded_process import run_bounded

WALL_SECONDS = 90.0
"""How long reading may take on a machine that is busy with other things."""


@dataclass(frozen=True, slots=True)
class PdfText:
    """What was read of a PDF.

    Attributes:
        text: of its pages, each under its number; empty if it cannot be read.
        pages: how many it has.
        read: how many of them are in ``text``.
        cut: whether the text of the last of these ends early.
        problem: in one line, why there is no text.
    """

    text: str = ""
    pages: int = 0
    read: int = 0
    cut: bool = False
    problem: str = ""


def can_read_pdfs() -> bool:
    """Whether the library is installed."""
    return importlib.util.find_spec("pypdf") is not None


async def read_pdf(data: bytes, limiter: anyio.CapacityLimiter | None = None) -> PdfText:
    """Read the text of a PDF in a process of its own; never raises for what is in the file.

    Args:
        limiter: bounds how many are read at once.
    """
    answer = await run_bounded(
        "databricks_responses_mcp.documents.pdf_reader", data, wall_seconds=WALL_SECONDS, limiter=limiter
    )
    if answer is None:
        return PdfText(problem="reading it takes more time or memory than it may")
    read = PdfText(**json.loads(answer))
    has_text = any(line and not line.startswith("[page ") for line in read.text.splitlines())
    if not read.problem and not has_text:
        return PdfText(pages=read.pages, problem="it contains no text, only pictures of pages")
    return read
