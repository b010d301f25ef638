"""Taking secrets and markup out of text that came from elsewhere, before anyone is shown it.

Every pattern runs in linear time on any input: no nested repeats, and every repeat is bounded or followed by something
that it cannot itself match.
"""

import re
from html import unescape

MAX_MESSAGE = 500
_MAX_SCANNED = 20_000
_REDACTED = "[redacted]"

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Header values: the scheme stays, so that the reader sees what kind of credential it was.
    (re.compile(r"\b(Bearer|Basic)[ \t]{1,8}[A-Za-z0-9._~+/=\-]{8,}", re.IGNORECASE), rf"\1 {_REDACTED}"),
    # JSON Web Tokens, whole or cut short.
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]{0,8192}){0,4}"), _REDACTED),
    # Databricks: personal tokens, service principal secrets, and the older two.
    (re.compile(r"\b(?:dapi|dose|dkea|dsapi|doauth)[A-Fa-f0-9]{12,}(?:-\d{1,3})?", re.IGNORECASE), _REDACTED),
    # OpenAI and relatives; GitHub; AWS; Google.
    (re.compile(r"\bsk-[A-Za-z0-9_\-]{8,}"), _REDACTED),
    (re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})"), _REDACTED),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), _REDACTED),
    (re.compile(r"\bAIza[A-Za-z0-9_\-]{30,}"), _REDACTED),
    # name=value and "name": "value" of things whose name says that they are secret.
    (
        re.compile(
            r"\b((?:access_?|refresh_?|id_?|auth_?|bearer_?)?token|api_?-?key|client_?secret|password|secret|"
            r"code_verifier|assertion|sig|signature)(\"?'?[ \t]{0,4}[=:][ \t]{0,4}\"?'?)[^\s\"'&,;<>]{8,}",
            re.IGNORECASE,
        ),
        rf"\1\2{_REDACTED}",
    ),
    # Credentials inside a URL.
    (re.compile(r"(://)[^\s/@:]{1,256}:[^\s/@]{1,256}@"), rf"\1{_REDACTED}@"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_TAG = re.compile(r"<[/!]?[A-Za-z][^<>]{0,2000}>|<!--")
_SPACES = re.compile(r"\s{2,}")
_HTML = re.compile(r"<(?:!doctype|html|head|body|title|pre|h1|div|p|script)\b", re.IGNORECASE)
_TELLING_ELEMENT = re.compile(r"<(pre|title|h1)\b[^<>]{0,500}>([^<]{1,2000})", re.IGNORECASE)


def redact(text: str) -> str:
    """The text without credentials: bearer and basic values, tokens of known shapes, ``password=…`` and the like."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def looks_like_html(text: str) -> bool:
    """Whether the text is a page (or a piece of one) rather than a message."""
    return _HTML.search(text[:4096]) is not None


def html_to_text(page: str) -> str:
    """What a page says, in one line: its ``pre``, else its ``h1`` or ``title``; empty when it has none of them."""
    found: dict[str, str] = {}
    for match in _TELLING_ELEMENT.finditer(page[:_MAX_SCANNED]):
        found.setdefault(match[1].lower(), unescape(match[2]).strip())
    return next((found[name] for name in ("pre", "h1", "title") if found.get(name)), "")


def clean(text: str, limit: int = MAX_MESSAGE) -> str:
    """One line fit to show: no credentials, tags, control or invisible characters; at most ``limit`` characters."""
    text = text[:_MAX_SCANNED]
    text = _SPACES.sub(" ", _CONTROL.sub(" ", text)).strip()
    text = redact(text)
    text = _SPACES.sub(" ", _TAG.sub(" ", text)).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "\u2026"
