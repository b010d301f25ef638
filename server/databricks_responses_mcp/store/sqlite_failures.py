"""What SQLite's failures mean for the user."""

import errno
import sqlite3
from pathlib import Path

from databricks_responses_mcp.store.interface import StoreError

_ELSEWHERE = "or set RESPONSES_MCP_STORE to a file elsewhere, or to off"
_UNWRITABLE = f"Make the file and its folder writable for this user, {_ELSEWHERE}."
_FREE = f"ree some space, {_ELSEWHERE}."


def explained(error: Exception, where: Path) -> StoreError:
    """The error as told to the user: what happened to which file, and what to do."""
    if isinstance(error, sqlite3.Error):
        return StoreError(_of_sqlite(error, where))
    if isinstance(error, OSError):
        return StoreError(_of_system(error, where))
    # What is left is a value that is not as we wrote it: JSON that does not parse, a column of another type.
    return StoreError(_damaged(where, type(error).__name__))


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another process is in the way for the moment."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _of_sqlite(error: sqlite3.Error, where: Path) -> str:
    match _primary_code(error):
        case sqlite3.SQLITE_FULL:
            return f"The disk that holds {where} is full. F{_FREE}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return f"{where} cannot be written: it, its folder or its disk is read-only. {_UNWRITABLE}"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return f"{where} cannot be opened ({error}). {_UNWRITABLE}"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{where} is locked by another program for long. Try again, or end the program that holds it."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damaged(where, str(error))
        case sqlite3.SQLITE_IOERR:
            return f"The disk failed to read or write {where} ({error}). It may be full, or away: f{_FREE}"
        case _:
            return (
                f"SQLite refused to work with {where} ({error}). See that nothing else changes that file, {_ELSEWHERE}."
            )


def _of_system(error: OSError, where: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {where} is full. F{_FREE}"
    return f"{where} cannot be made or opened ({error.strerror}). {_UNWRITABLE}"


def _damaged(where: Path, how: str) -> str:
    return (
        f"{where} is damaged, or no file of conversations ({how}). Move it away, with the -wal and -shm files beside"
        " it, and a new one is made; or put back a copy of it."
    )


def _primary_code(error: sqlite3.Error) -> int:
    # Errors that the module raises by itself have no code.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
