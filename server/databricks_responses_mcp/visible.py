"""Escaping invisible characters in names from outside before they are printed.

The name of an endpoint, a conversation or a file is not trusted. A control character in it can rewrite a terminal,
U+202E reverses the rest of the line, and a zero-width character makes two names look alike.
"""

import unicodedata

# Control characters, format characters (bidirectional controls, zero-width characters, tags), half surrogate pairs,
# line and paragraph separators.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters and marks that have no width, or that hide themselves: grapheme joiner, fillers, variation selectors.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")

LINES = "\n\t"
"""The characters to keep in a message of several lines."""


def visible(text: str, *, keep: str = "") -> str:
    """Return ``text`` with invisible characters, and those that move others, replaced by escapes.

    ``"a\\u202eb"`` becomes ``a\\\\u202eb``. Names in structured data are not escaped: programs use them in calls.

    Args:
        keep: characters that are not escaped, such as the line breaks of a message of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escape(character)
        if (unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _BLANK) and character not in keep
        else character
        for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
