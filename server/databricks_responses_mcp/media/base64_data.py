"""Base64 as it comes from models and people: decoded with as few copies as its damage allows."""

import binascii

from databricks_responses_mcp.media.formats import Buffer

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\r\n\v\f"


def decode(data: Buffer | str) -> bytes:
    """Decode base64, standard or URL-safe, padded or not, with or without line breaks and a ``data:…,`` prefix.

    Clean input is decoded straight from the buffer given; only damaged input is copied, once.

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
        # Strict, because the lenient mode drops what it does not know, and with it a URL-safe "-" or "_".
        return binascii.a2b_base64(source, strict_mode=True)
    except ValueError:
        pass
    return binascii.a2b_base64(_normalized(source), strict_mode=True)


def _prefix_length(head: str) -> int:
    return head.find(",") + 1 if head.lstrip()[:5].lower() == "data:" else 0


def _normalized(source: Buffer | str) -> bytes:
    raw = source.encode("ascii") if isinstance(source, str) else source
    normalized = bytes(raw) if isinstance(raw, memoryview) else raw
    del raw
    normalized = normalized.translate(_TO_STANDARD, _WHITESPACE)
    normalized = normalized.rstrip(b"=")
    return bytes(normalized + b"=" * (-len(normalized) % 4))
