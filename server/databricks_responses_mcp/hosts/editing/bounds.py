"""Limits of a configuration file: size, nesting, number of values.

A project's file is not trusted. Every size that depends on the text is limited here, before and after it is parsed, so
that reading it takes seconds at most and no later step recurses too deeply.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from databricks_responses_mcp.errors import BridgeError, ErrorCode

# Characters of a text. TOML and YAML are parsed more slowly than JSON, and hosts' files in these formats are small.
MAX_JSON_CHARACTERS: Final = 20_000_000
MAX_TOML_CHARACTERS: Final = 1_000_000
MAX_YAML_CHARACTERS: Final = 200_000

MAX_DEPTH: Final = 100
"""Levels of tables and lists."""

MAX_VALUES: Final = 200_000
"""Values of a text; a YAML alias counts each time it is used."""

MAX_KEY_PARTS: Final = 64
"""Parts of a dotted TOML key: parsing them takes quadratic time."""

MAX_DUPLICATES: Final = 50
"""Duplicate entries of one name that are removed in one call."""

_MAX_NUMBER_BITS = 4096
_MAX_CHARACTERS = {"json": MAX_JSON_CHARACTERS, "toml": MAX_TOML_CHARACTERS, "yaml": MAX_YAML_CHARACTERS}


def check_size(text: str, language: str) -> None:
    """Refuse a text that is too long.

    Raises:
        BridgeError: invalid_argument.
    """
    most = _MAX_CHARACTERS[language]
    if len(text) > most:
        raise limit_error(f"it has more than {most:,} characters")


def check_values(root: Any, children: Callable[[Any], Iterable[Any]]) -> None:
    """Refuse a tree with too many values or levels. Shared subtrees count each time; a cycle exceeds the limit.

    Args:
        children: returns the values that a value contains, with or without keys.

    Raises:
        BridgeError: invalid_argument.
    """
    count = 0
    levels = [iter((root,))]
    while levels:
        for value in levels[-1]:
            count += 1
            if count > MAX_VALUES:
                raise limit_error(f"it has more than {MAX_VALUES:,} values")
            if len(levels) > MAX_DEPTH + 1:
                raise limit_error(f"it has more than {MAX_DEPTH} levels")
            if isinstance(value, int) and value.bit_length() > _MAX_NUMBER_BITS:
                raise limit_error("it has a number with more than a thousand digits")
            levels.append(iter(children(value)))
            break
        else:
            levels.pop()


def plain_children(value: Any) -> Iterable[Any]:
    """Return the values that a value of plain data contains."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def limit_error(why: str) -> BridgeError:
    """Return the error for a text that exceeds a limit."""
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"The file is not read: {why}.",
        "Make it smaller, or move it away; nothing was written.",
    )
