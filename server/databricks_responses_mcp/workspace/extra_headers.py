"""The setting ``extra_headers``: additional headers of requests to models."""

import json
import re
from collections.abc import Mapping

MAX_HEADERS = 20
MAX_VALUE = 4000
"""In characters."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]+")
# Headers that authenticate, route or frame a request, or say on whose behalf it is sent.
_OURS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "api-key",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "cookie2",
        "databricks-ai-gateway-request-tags",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "origin",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-api-key",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    }
)
_OUR_PREFIXES = ("proxy-", "sec-", "x-forwarded", "x-databricks-azure-", "x-databricks-gcp-", "x-databricks-workspace-")
_PLAIN_PREFIXES = ("databricks-", "x-databricks-")


def read_headers(text: str) -> dict[str, str]:
    """Return the headers of the setting's JSON.

    Raises:
        ValueError: names what is wrong, never a value, which may be a secret.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object of strings")
    if len(value) > MAX_HEADERS:
        raise ValueError(f"there are {len(value)} headers, and {MAX_HEADERS} is the most")
    seen: set[str] = set()
    for name, content in value.items():
        lower = name.lower()
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is no header's name")
        if lower in _OURS or lower.startswith(_OUR_PREFIXES):
            raise ValueError(f"{name} is set by the bridge or the HTTP client, and cannot be configured")
        if lower in seen:
            raise ValueError(f"{name} is there twice")
        if not isinstance(content, str) or len(content) > MAX_VALUE or not _VALUE.fullmatch(content):
            raise ValueError(f"{name} must be a text of printable ASCII characters, at most {MAX_VALUE}")
        seen.add(lower)
    return value


def secret_values(headers: Mapping[str, str]) -> list[str]:
    """Return the values that may be secrets: all except those of Databricks' own headers, which are names and flags."""
    return [value for name, value in headers.items() if not name.lower().startswith(_PLAIN_PREFIXES)]
