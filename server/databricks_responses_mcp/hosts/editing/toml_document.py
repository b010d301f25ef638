"""The statements of a TOML text with their positions.

``tomllib`` validates and parses the text; this module finds the position of each header and pair, which no library
does. It assumes that the text is valid.
"""

import re
import tomllib
from dataclasses import dataclass
from typing import Any, Literal

from databricks_responses_mcp.hosts.editing.bounds import MAX_KEY_PARTS, limit_error
from databricks_responses_mcp.hosts.editing.failures import parse_error, position

_KEY = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*')[ \t]*(\.?)""")
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\[\s\S])*?"{3,5}'
    r"|'''[\s\S]*?'{3,5}"
    r'|"(?:[^"\\\r\n]|\\.)*"'
    r"|'[^'\r\n]*'"
    r"|#[^\r\n]*|[\[{]|[\]}]|\r?\n|[^\"'#\[\]{}\r\n]+|\r"
)
_BLANKS = re.compile(r"[ \t]*+")
# Matches from the first part only and never backtracks, so a search takes linear time.
_LONG_KEY = re.compile(rf"""(?<![\w.-])(?:(?:[\w-]++|"[^"\r\n]*+"|'[^'\r\n]*+')[ \t]*+\.[ \t]*+){{{MAX_KEY_PARTS}}}""")
_WHERE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_AT_END = " (at end of document)"

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A header or a pair.

    Attributes:
        path: of the table, or of the pair's value, from the root.
        within: the path of the header above a pair.
        value: where a pair's value starts.
        end: after the bracket of a header or the value of a pair; a comment may follow.
    """

    kind: Literal["table", "array", "pair"]
    path: Path
    within: Path
    start: int
    value: int
    end: int


def load(text: str) -> dict[str, Any]:
    """Parse the text into plain data.

    Raises:
        BridgeError: invalid_argument, with the line and column.
    """
    if _LONG_KEY.search(text):
        raise limit_error(f"it has a key of more than {MAX_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "too many levels"
        found = _WHERE.search(why)
        line, column = (int(found[1]), int(found[2])) if found else position(text, len(text))
        why = _WHERE.sub("", why).removesuffix(_AT_END)
        raise parse_error("toml", line, column, why[:1].lower() + why[1:]) from None


def statements(text: str) -> list[Statement]:
    """Return all statements of a valid text, in order."""
    found: list[Statement] = []
    within: Path = ()
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
        elif text[at] == "#":
            at = _skip_line(text, at)
        elif text[at] == "[":
            brackets = 2 if text.startswith("[[", at) else 1
            within, end = _key(text, at + brackets)
            kind: Literal["table", "array"] = "array" if brackets == 2 else "table"
            found.append(Statement(kind, within, within, at, end, end + brackets))
            at = _skip_line(text, end)
        else:
            path, equals = _key(text, at)
            blanks = _BLANKS.match(text, equals + 1)
            value = blanks.end() if blanks is not None else equals + 1
            end = _value_end(text, value)
            found.append(Statement("pair", (*within, *path), within, at, value, end))
            at = _skip_line(text, end)
    return found


def _skip_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _key(text: str, at: int) -> tuple[Path, int]:
    parts: list[str] = []
    while (found := _KEY.match(text, at)) is not None:
        raw = found[1]
        parts.append(str(tomllib.loads(f"key = {raw}")["key"]) if raw[0] in "\"'" else raw)
        at = found.end()
        if not found[2]:
            break
    return tuple(parts), at


def _value_end(text: str, at: int) -> int:
    depth = 0
    end = at
    while (found := _TOKEN.match(text, at)) is not None:
        token = found[0]
        if depth == 0 and (token[0] == "#" or token in ("\n", "\r\n")):
            break
        depth += (token in ("[", "{")) - (token in ("]", "}"))
        at = found.end()
        if token.strip() and token[0] != "#":
            end = at - (len(token) - len(token.rstrip()))
    return end
