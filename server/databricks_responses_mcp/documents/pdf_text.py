"""The text of a PDF, if the optional library (``databricks-responses-mcp[pdf]``) is installed."""

import importlib.util
import json
from dataclasses import dataclass

import anyio

from databricks_responses_mcp.bounded_process import run_bounded

WALL_SECONDS = 90.0
"""The time limit of reading; long enough for a busy machine."""


@dataclass(frozen=True, slots=True)
class PdfText:
    """The result of reading a PDF.

    Attributes:
        text: the text of its pages, each with its number; empty if it cannot be read.
        pages: the number of its pages.
        read: the number of pages in ``text``.
        cut: whether the text of the last of these is truncated.
        problem: why there is no text, in one line.
    """

    text: str = ""
    pages: int = 0
    read: int = 0
    cut: bool = False
    problem: str = ""


def can_read_pdfs() -> bool:
    """Return whether the library is installed."""
    return importlib.util.find_spec("pypdf") is not None


async def read_pdf(data: bytes, limiter: anyio.CapacityLimiter | None = None) -> PdfText:
    """Read the text of a PDF in a separate process; never raises because of the file's content.

    Args:
        limiter: limits the number of concurrent readings.
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
