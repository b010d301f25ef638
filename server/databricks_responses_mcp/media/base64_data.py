"""Base64 from models and people, alone or in a data URL, decoded with as few copies as possible."""

import binascii
import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import shown
from databricks_responses_mcp.media.formats import Buffer

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\r\n\v\f"


def decode(data: Buffer | str) -> bytes:
    """Decode base64, standard or URL-safe, padded or not, with or without line breaks and a ``data:…,`` prefix.

    Valid input is decoded directly from the given buffer; only damaged input is copied, once.

    Raises:
        ValueError: it is not base64.
    """
    source: Buffer | str = data
    if isinstance(data, str):
        comma = _prefix_length(data[:256])
        source = data[comma:] if comma else data
    else:
        view = memoryview(data)
        comma = _prefix_length(bytes(view[:256]).decode("latin-1"))
        source = view[comma:] if comma else view
    try:
        # Strict, because the lenient mode drops unknown characters, including a URL-safe "-" or "_".
        return binascii.a2b_base64(source, strict_mode=True)
    except ValueError:
        pass
    return binascii.a2b_base64(_normalized(source), strict_mode=True)


def read_data_url(reference: str, max_bytes: int, too_large: Callable[[str, int, int], BridgeError]) -> bytes:
    """Return the bytes of a data URL of any type. Uses CPU time: call it in a worker thread.

    Args:
        max_bytes: the maximum size.
        too_large: makes the error for a larger one, from the reference, its size in bytes and ``max_bytes``.

    Raises:
        BridgeError: ``invalid_argument`` for invalid base64, and the error from ``too_large``.
    """
    head, _, payload = reference.partition(",")
    bad = BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(reference)} is not base64 data.",
        "Write data URLs as data:image/png;base64,… or give the path of the file.",
    )
    if not re.search(r";\s*base64\s*$", head, re.IGNORECASE):
        raise bad
    if len(payload) * 3 // 4 > 2 * max_bytes + 4096:  # white space and %xx may make it longer, within limits
        raise too_large(reference, len(payload) * 3 // 4, max_bytes)
    try:
        data = decode(unquote_to_bytes(payload) if "%" in payload else payload)
    except ValueError as error:
        raise bad from error
    if len(data) > max_bytes:
        raise too_large(reference, len(data), max_bytes)
    return data


def _prefix_length(head: str) -> int:
    return head.find(",") + 1 if head.lstrip()[:5].lower() == "data:" else 0


def _normalized(source: Buffer | str) -> bytes:
    raw = source.encode("ascii") if isinstance(source, str) else source
    normalized = bytes(raw) if isinstance(raw, memoryview) else raw
    del raw
    normalized = normalized.translate(_TO_STANDARD, _WHITESPACE)
    normalized = normalized.rstrip(b"=")
    return bytes(normalized + b"=" * (-len(normalized) % 4))
