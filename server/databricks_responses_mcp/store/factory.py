"""Which store a setting means."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.store.interface import Store

FILE = "conversations.db"


def open_store(setting: str | None, *, owner: str = "", password: Callable[[], Awaitable[str]] | None = None) -> Store:
    """The store of a setting; nothing is opened before it is first used.

    Args:
        setting: a path, a ``postgresql://`` URL, ``off`` for this process's memory, None for the user's own file.
        owner: whose conversations it keeps; it sees no others'.
        password: gives a fresh password for each connection to PostgreSQL.

    Raises:
        BridgeError: ``invalid_argument`` if the setting is none of these.
    """
    if setting is not None and setting.strip().lower() == "off":
        from databricks_responses_mcp.store.memory import MemoryStore

        return MemoryStore(owner)
    if setting is not None and setting.lower().startswith(("postgres://", "postgresql://")):
        from databricks_responses_mcp.store.postgres import PostgresStore

        return PostgresStore(setting, owner, password)
    from databricks_responses_mcp.store.sqlite import SqliteStore

    return SqliteStore(_own_file() if setting is None else _path(setting), owner)


def local_directory(setting: str | None) -> Path:
    """Return the directory on this machine for the user's data: that of the store's file, if the store is a file.

    A setting that `open_store` would refuse counts as no file.
    """
    if setting is None or setting.strip().lower() == "off" or "://" in setting:
        return _own_file().parent
    try:
        return _path(setting).parent
    except (BridgeError, RuntimeError):
        return _own_file().parent


def _own_file() -> Path:
    from platformdirs import user_data_dir

    return Path(user_data_dir("databricks-responses-mcp", appauthor=False)) / FILE


def _path(setting: str) -> Path:
    """The file that a setting names; never a folder that is named with the password of a mistyped URL."""
    text = setting.strip()
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # no home directory
        path = Path(text)
    if "\0" in text or "://" in text or not path.is_absolute():
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "RESPONSES_MCP_STORE names no store: it is neither an absolute path nor a URL that is understood.",
            "Set it to the absolute path of a file, to postgresql://user:password@host:5432/database, to off, or leave "
            "it unset.",
        )
    return path
