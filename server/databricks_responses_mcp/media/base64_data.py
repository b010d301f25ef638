"""Base64 as it comes from models and people: decoded with as few copies as its damage allows."""

import binascii

from databricks_responses_mcp.media.formats import Buffer

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\r\n\v\f"


def decode(data: Buffer | str) -> bytes:
    """Decode base64, standard or URL-safe, padded or not, with or without line breaks and a ``data:…,`` prefix.

    Clean input is decoded straight from the buffer given; only input that needs mending is copied once.

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
    return binascii.a2b_base64(_mended(source), strict_mode=True)


def _prefix_length(head: str) -> int:
    return head.find(",") + 1 if head.lstrip()[:5].lower() == "data:" else 0


def _mended(source: Buffer | str) -> bytes:
    raw = source.encode("ascii") if isinstance(source, str) else source
    mended = bytes(raw) if isinstance(raw, memoryview) else raw
    del raw
    mended = mended.translate(_TO_STANDARD, _WHITESPACE)
    mended = mended.rstrip(b"=")
    return bytes(mended + b"=" * (-len(mended) % 4))
