"""Removing secrets and markup from texts of other programs before they are shown.

Every pattern runs in linear time on any input: no nested repetition, and every repetition is bounded or followed by
something that it cannot match. They are compiled, and cached by ``re``, at their first use.
"""

import re
from html import unescape

MAX_MESSAGE = 500
"""The maximum number of characters of such a message that are shown."""

_MAX_SCANNED = 20_000
_REDACTED = "[redacted]"

_NAMES_OF_VALUES = (
    r"token|api_?-?key|access_?-?key|client_?secret|password|passwd|secret|code_verifier|assertion|sig|signature"
)
_SECRETS: tuple[tuple[str, str], ...] = (
    # Header values: the scheme is kept, so that the reader sees the kind of credential.
    (r"\b(Bearer|Basic)[ \t]{1,8}[A-Za-z0-9._~+/=\-]{8,}", rf"\1 {_REDACTED}"),
    # JSON Web Tokens, complete or truncated.
    (r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]{0,8192}){0,4}", _REDACTED),
    # Databricks: personal tokens, service principals' secrets, and older kinds.
    (r"(?<![A-Za-z0-9])(?:dapi|dose|dkea|dsapi|doauth)[A-Fa-f0-9]{8,}(?:-\d{1,3})?", _REDACTED),
    # OpenAI and relatives; GitHub; AWS; Google.
    (r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_\-]{8,}", _REDACTED),
    (r"(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{16,}", _REDACTED),
    (r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}", _REDACTED),
    (r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_\-]{30,}", _REDACTED),
    # name=value and "name": "value" where the name indicates a secret.
    (
        rf"(?<![A-Za-z0-9])({_NAMES_OF_VALUES})(\"?'?[ \t]{{0,4}}[=:][ \t]{{0,4}}\"?'?)[^\s\"'&,;<>]{{8,}}",
        rf"\1\2{_REDACTED}",
    ),
    # Credentials inside a URL.
    (r"(://)[^\s/@:]{0,256}:[^\s/@]{1,256}@", rf"\1{_REDACTED}@"),
)
# Whatever one of these patterns matches has a part, in lower case, that this one matches: with one search that heeds
# case, most texts need no other. Words with the same first letter stand together, so that they are tried together.
_ANY_SIGN = (
    r"b(?:earer|asic)|eyj|d(?:api|ose|kea|sapi|oauth)|sk-|g(?:h[pousr]_|ithub_pat_)|a(?:kia|sia|iza)|://"
    r"|(?:token|key|s(?:ecret|ig(?:nature)?)|pass(?:word|wd)|code_verifier|assertion)[=:\"' \t]"
)
# Removed: invisible characters, which could hide a secret from the patterns above.
_INVISIBLE = r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]+"
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+"
# Only names of HTML elements: ``/serving-endpoints/<endpoint_name>/`` in a message is unchanged.
_NAMES = (
    r"a|abbr|b|body|br|button|center|code|div|em|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|li|link"
    r"|main|meta|nav|object|ol|p|pre|script|section|small|span|strong|style|svg|table|tbody|td|th|thead|title|tr|u|ul"
)
_TAG = rf"</?(?:{_NAMES})(?:[\s/][^<>]{{0,2000}})?>|<!(?:doctype|--)[^<>]{{0,2000}}>"
_PAGE = r"<(?:!doctype|html|head|body|title|pre|h1|div|p|script)\b"
_TELLING_ELEMENT = r"<(pre|title|h1)\b[^<>]{0,500}>([^<]{1,2000})"


def redact(text: str) -> str:
    """Return the text without credentials: bearer and basic values, tokens of known shapes, ``password=…`` and the
    like.
    """
    # Other letters than those of ASCII have cases of their own.
    if text.isascii() and re.search(_ANY_SIGN, text.lower()) is None:
        return text
    for pattern, replacement in _SECRETS:
        text = re.sub(pattern, replacement, text, flags=re.IGNORECASE)
    return text


def looks_like_html(text: str) -> bool:
    """Return whether the text is an HTML page, or a part of one, rather than a message."""
    return re.search(_PAGE, text[:4096], re.IGNORECASE) is not None


def html_to_text(page: str) -> str:
    """Return the text of a page in one line: its ``pre``, else its ``h1`` or ``title``; empty if it has none."""
    found: dict[str, str] = {}
    for match in re.finditer(_TELLING_ELEMENT, page[:_MAX_SCANNED], re.IGNORECASE):
        found.setdefault(match[1].lower(), unescape(match[2]).strip())
    return next((found[name] for name in ("pre", "h1", "title") if found.get(name)), "")


def clean(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return one line that can be shown: no credentials, tags, control or invisible characters; at most ``limit``
    characters.
    """
    text = re.sub(_INVISIBLE, "", text[:_MAX_SCANNED])
    text = re.sub(_TAG, " ", re.sub(_CONTROL, " ", text), flags=re.IGNORECASE)
    text = " ".join(redact(text).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "\u2026"
