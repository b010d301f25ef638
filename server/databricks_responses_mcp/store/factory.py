"""Creating the store that ``RESPONSES_MCP_STORE`` names."""

from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.store.interface import FreshSignIn, Store

FILE = "conversations.db"


def open_store(
    setting: str | None,
    *,
    owner: str = "",
    sign_in: FreshSignIn | None = None,
    connections: int | None = None,
) -> Store:
    """Return the store for a setting. Nothing is opened before its first use.

    Args:
        setting: a path, a ``postgresql://`` URL, ``off`` for this process's memory, None for the user's own file.
        owner: the owner of the conversations; conversations of other owners are not visible.
        sign_in: returns what each new connection to PostgreSQL is opened with besides the URL.
        connections: the most connections to PostgreSQL at a time; a few if None.

    Raises:
        BridgeError: ``invalid_argument`` if the setting is none of these.
    """
    if setting is not None and setting.strip().lower() == "off":
        from databricks_responses_mcp.store.memory import MemoryStore

        return MemoryStore(owner)
    if setting is not None and setting.lower().startswith(("postgres://", "postgresql://")):
        from databricks_responses_mcp.store.postgres import PostgresStore
        from databricks_responses_mcp.store.postgres_pool import DEFAULT_CONNECTIONS

        return PostgresStore(setting, owner, sign_in, connections or DEFAULT_CONNECTIONS)
    from databricks_responses_mcp.store.sqlite import SqliteStore

    return SqliteStore(_own_file() if setting is None else _path(setting), owner)


def local_directory(setting: str | None) -> Path:
    """Return the local directory for the user's data: that of the store's file, or the default one.

    The default is also used for a setting that `open_store` would refuse.
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
    """Return the file that a setting names; a mistyped URL is refused, since its password would become a file name."""
    text = setting.strip()
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # no home directory
        path = Path(text)
    if "\0" in text or "://" in text or not path.is_absolute():
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "RESPONSES_MCP_STORE does not name a store: it is neither an absolute path nor a supported URL.",
            "Set it to the absolute path of a file, to postgresql://user:password@host:5432/database, to off, or leave "
            "it unset.",
        )
    return path
