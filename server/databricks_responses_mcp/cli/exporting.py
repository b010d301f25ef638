"""Writing a conversation into a new file, atomically and readable only by its owner."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode


def write_new(output: str, text: str, *, replace: bool) -> Path:
    """Write ``text`` to a file that does not exist, or with ``replace`` over an existing one; return its path.

    Raises:
        BridgeError: ``invalid_argument`` if it exists, or the path is invalid; ``internal`` if it cannot be written.
    """
    path = _path(output)
    try:
        if path.is_dir():
            raise _refused(f"{path} is a folder.", "Name a file in it.")
        if not replace and os.path.lexists(path):
            raise _exists(path)
        _write(path, text.encode(errors="backslashreplace"), replace=replace)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise BridgeError(
            ErrorCode.INTERNAL, f"{path} cannot be written: {error.strerror}.", "Name another file with --output."
        ) from error
    return path


def _path(output: str) -> Path:
    try:
        path = Path(output).expanduser().absolute()
        path.is_file()  # a null character would be detected only now
    except (RuntimeError, OSError, ValueError) as error:
        raise _refused(f"--output {output!r} is not a path: {error}.", "Name a file.") from error
    return path


def _write(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a temporary file and rename it, so that nobody sees an incomplete one."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        if replace:
            unfinished.replace(path)
            return
        try:
            os.link(unfinished, path)
        except FileExistsError:
            raise
        except OSError:  # a disk without hard links
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            unfinished.replace(path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def _exists(path: Path) -> BridgeError:
    return _refused(f"{path} exists.", "Name another file, or add --force to replace it.")


def _refused(message: str, hint: str) -> BridgeError:
    return BridgeError(ErrorCode.INVALID_ARGUMENT, message, hint)
