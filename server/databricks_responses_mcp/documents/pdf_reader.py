"""The program that reads the text of a PDF, in a separate process that can be ended.

It reads the PDF from stdin and writes ``{"pages": …, "read": …, "text": …}`` to stdout, or ``{"problem": …}``.
"""

import io
import json
import logging
import sys
from typing import Any

from databricks_responses_mcp.bounded_process import limit_this_process

CPU_SECONDS = 30
MEMORY_BYTES = 1024**3
MAX_PAGES = 2000
MAX_CHARACTERS = 1_000_000
_MAX_WORDS = 200


def main() -> None:
    """Read one PDF."""
    limit_this_process(cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES)
    logging.disable()
    try:
        answer = _read(sys.stdin.buffer.read())
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises in the library
        answer = {"problem": f"{type(error).__name__}: {error}"[:_MAX_WORDS]}
    # As ASCII: pages may contain lone surrogates, which cannot be encoded.
    json.dump(answer, sys.stdout)


def _read(data: bytes) -> dict[str, Any]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        return {"problem": "it is protected by a password"}
    pages = len(reader.pages)
    parts: list[str] = []
    left = MAX_CHARACTERS
    for number in range(min(pages, MAX_PAGES)):
        text = reader.pages[number].extract_text().strip()
        parts.append(f"[page {number + 1}]\n{text}"[:left])
        left -= len(parts[-1])
        if left <= 0:
            break
    return {"pages": pages, "read": len(parts), "text": "\n\n".join(parts), "cut": left <= 0}


if __name__ == "__main__":
    main()
