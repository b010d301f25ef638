"""The errors for a configuration file that cannot be edited."""

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.editing.paths import Place, format_place

_TITLES = {"json": "JSON", "toml": "TOML", "yaml": "YAML"}
_TABLES = {"json": "a JSON object", "toml": "a TOML table", "yaml": "a YAML mapping"}
_LISTS = {"json": "a JSON array", "toml": "a TOML array of tables", "yaml": "a YAML sequence"}


def position(text: str, index: int) -> tuple[int, int]:
    """Return the line and column of a character, both 1-based. A line ends with CRLF, LF or CR."""
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def parse_error(language: str, line: int, column: int, why: str) -> BridgeError:
    """Return the error for a file that is not of its format."""
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"The file is not valid {_TITLES[language]} at line {line}, column {column}: {why}.",
        "Fix it there, or move the file away; nothing was written.",
    )


def kind_error(language: str, place: Place, line: int, column: int, *, listed: bool) -> BridgeError:
    """Return the error for a parent of an entry that is not a table (or list)."""
    expected = (_LISTS if listed else _TABLES)[language]
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"`{format_place(place)}` at line {line}, column {column} is not {expected}.",
        "Fix or move it; nothing was written.",
    )


def edit_error(language: str, place: Place, why: str) -> BridgeError:
    """Return the error for a valid file in which the place cannot be changed without changing something else."""
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"`{format_place(place)}` of this {_TITLES[language]} file cannot be changed without touching the rest: {why}.",
        "Make the change by hand (`--print` shows the entry); nothing was written.",
    )
