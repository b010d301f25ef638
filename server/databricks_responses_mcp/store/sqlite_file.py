"""A SQLite file of conversations: opening it, keeping it private, migrating its schema, explaining its errors."""

import errno
import os
import sqlite3
import stat
import threading
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from databricks_responses_mcp.store.interface import ConstraintError, StoreError
from databricks_responses_mcp.store.schema import VERSION, Database, migration_statements, newer_schema_message

BUSY_SECONDS = 5.0
_APPLICATION_ID = 0x4452_4D43
_WAL_KEPT_BYTES = 4 * 1024 * 1024

# Closing any descriptor of a file drops this process's locks on it, also those of SQLite's open connections. So a file
# is created only here, one at a time, when it does not exist and nothing can have it open.
_making = threading.Lock()


def open_file(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open the file; create it if it does not exist, and migrate it if it has an older schema.

    Args:
        busy_seconds: how long to wait for a lock that another process holds.

    Raises:
        StoreError: if it has a later schema, belongs to another program, or is not a regular file.
        sqlite3.Error, OSError: if it cannot be used; `explain_error` makes a `StoreError` of them.
    """
    with _making:
        if path.is_dir():
            inside = path / "conversations.db"
            raise StoreError(f"{path} is a folder. Set RESPONSES_MCP_STORE to a file in it, such as {inside}.")
        _check_regular(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _make_private(path)
        return _prepare(_connect(str(path), busy_seconds), str(path), busy_seconds)


def write_back(path: Path) -> None:
    """Write the log of a file back into it, as far as no reader needs the older pages. Blocks no other connection.

    Does nothing if that cannot be done now: the log is written back later.
    """
    # The mode "rw" makes no file where there is none any more.
    where = f"{path.absolute().as_uri()}?mode=rw"
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(where, timeout=0, isolation_level=None, uri=True)
        with closing(connection):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def open_memory() -> sqlite3.Connection:
    """Open a database in the memory of this process; its content is lost when it is closed."""
    return _prepare(_connect(":memory:", BUSY_SECONDS), "memory", BUSY_SECONDS)


@cache
def dialect(sql: str) -> str:
    """Return a statement in SQLite's syntax."""
    return sql.replace("@", "")


def _check_regular(path: Path) -> None:
    """Refuse an existing file that is not a regular file, such as a device, before anything is changed.

    Raises:
        StoreError: names the file, which may be one that SQLite keeps beside the database.
    """
    for name in (path, *_companion_files(path)):
        try:
            mode = name.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISREG(mode):
            raise StoreError(
                f"{name} is a device, pipe or socket, not a file. Set RESPONSES_MCP_STORE to a file that does not "
                "exist: it is created."
            )


def _companion_files(path: Path) -> tuple[Path, ...]:
    """Return the files that SQLite creates beside a database."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm"))


def _connect(where: str, busy_seconds: float) -> sqlite3.Connection:
    # Several worker threads use it, one at a time, which is all that SQLite requires.
    connection = sqlite3.connect(where, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.create_function("clock", 0, time.time)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, where: str, busy_seconds: float) -> sqlite3.Connection:
    try:
        _set_durability(connection, busy_seconds)
        if _check_version(connection, where) < VERSION:
            _migrate(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_durability(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Set how the file is written.

    In WAL mode the operating system has a commit when it returns, so a crash of the process loses none. With
    ``synchronous = FULL`` it is on the disk as well, so a power failure loses none if the disk's sync is reliable. One
    sync per commit is cheap compared with the model's answer that it stores.
    """
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if not pages:
        # It takes effect only in an empty database; later it would only wait for writers.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    until = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            break
        except sqlite3.OperationalError as error:
            # Several processes start at once with a new file: SQLite itself does not wait here.
            if not is_locked(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")


def _check_version(connection: sqlite3.Connection, where: str) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if tables and application != _APPLICATION_ID:
        raise StoreError(
            f"{where} is another program's database. Set RESPONSES_MCP_STORE to a file that does not exist: it is "
            "created."
        )
    if version > VERSION:
        raise StoreError(newer_schema_message(where, version))
    return int(version)


def _migrate(connection: sqlite3.Connection, where: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        for statement in migration_statements(_check_version(connection, where), Database.SQLITE):
            connection.execute(dialect(statement))
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _make_private(path: Path) -> None:
    """Remove the permissions of other users; SQLite creates the files beside it with the same mode."""
    for name in (path, *_companion_files(path)):
        with suppress(FileNotFoundError, PermissionError):
            if stat.S_IMODE(name.stat().st_mode) & 0o077:
                name.chmod(0o600)


_ELSEWHERE = "or set RESPONSES_MCP_STORE to another file, or to off"
_UNWRITABLE = f"Make the file and its folder writable for this user, {_ELSEWHERE}."
_FREE_SPACE = f"Free some space, {_ELSEWHERE}."


def explain_error(error: Exception, where: Path) -> StoreError:
    """Return the error for the user: what happened to which file, and what to do."""
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintError(f"{where} refused a change ({error}). Check that no other program changes its tables.")
    if isinstance(error, sqlite3.Error):
        return StoreError(_sqlite_message(error, where))
    if isinstance(error, OSError):
        return StoreError(_os_message(error, where))
    # The other exceptions come from damaged values: JSON that does not parse, a column of another type.
    return StoreError(_damage_message(where, type(error).__name__))


def is_locked(error: sqlite3.Error) -> bool:
    """Return whether another process holds a lock."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _sqlite_message(error: sqlite3.Error, where: Path) -> str:
    match _primary_code(error):
        case sqlite3.SQLITE_FULL:
            return f"The disk of {where} is full. {_FREE_SPACE}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return f"{where} cannot be written: the file, its folder or its disk is read-only. {_UNWRITABLE}"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return f"{where} cannot be opened ({error}). {_UNWRITABLE}"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{where} stayed locked by another program. Try again, or end that program."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damage_message(where, str(error))
        case sqlite3.SQLITE_IOERR:
            return f"The disk failed to read or write {where} ({error}). It may be full or unavailable. {_FREE_SPACE}"
        case _:
            return f"SQLite cannot use {where} ({error}). Check that no other program changes that file, {_ELSEWHERE}."


def _os_message(error: OSError, where: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {where} is full. {_FREE_SPACE}"
    return f"{where} cannot be created or opened ({error.strerror}). {_UNWRITABLE}"


def _damage_message(where: Path, how: str) -> str:
    return (
        f"{where} is damaged, or no file of conversations ({how}). Move it away, with its -wal and -shm files, and"
        " a new one is created; or restore a backup."
    )


def _primary_code(error: sqlite3.Error) -> int:
    # Errors that the Python module itself raises have no code.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
