"""Local paths from callers, opened so that only regular files are read."""

import os
import stat
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import shown
from databricks_responses_mcp.media.file_names import MAX_PATH_BYTES, is_too_long
from databricks_responses_mcp.spelling import similar_names
from databricks_responses_mcp.visible import visible

_SANDBOXES = ("/mnt/user-data/", "/mnt/data/", "/home/claude/", "sandbox:")
"""Paths at which hosts store uploads and results of their own model: in their container, not on this machine."""


def resolve(reference: str, base: Path | None) -> Path:
    """Return the path of a reference: absolute, ``~``, ``file://`` or relative to ``base`` (default: the working
    directory).

    Raises:
        BridgeError: ``invalid_argument`` if it cannot be a path on this machine; ``not_found`` if it is in the host's
            sandbox.
    """
    text = reference.strip()
    try:
        if text[:5].lower() == "file:":
            text = _from_file_url(text, reference)
        _refuse_sandbox(text, reference)
        if not text or "\0" in text:
            raise ValueError("empty or with a NUL")
        path = (base or Path.cwd()) / Path(text).expanduser()
        if len(os.fsencode(path)) > MAX_PATH_BYTES or any(is_too_long(part) for part in path.parts):
            raise ValueError("too long")
        return path
    except (ValueError, RuntimeError, OSError) as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"{shown(reference)} is not a path on this machine.", "Give an absolute path."
        ) from error


def _refuse_sandbox(text: str, reference: str) -> None:
    """Refuse a path in the host's sandbox, unless this machine has such a directory.

    Raises:
        BridgeError: ``not_found``.
    """
    plain = text.replace("\\", "/")
    sandbox = next((start for start in _SANDBOXES if plain.startswith(start)), None)
    if sandbox is None or Path(sandbox).is_dir():
        return
    raise BridgeError(
        ErrorCode.NOT_FOUND,
        f"{shown(reference)} is a path in the host's own sandbox, which is another machine: this server cannot read "
        "or write there.",
        "Ask the user where the file is on their computer and give that path, or put its text into the prompt.",
    )


def _from_file_url(text: str, reference: str) -> str:

    parts = urlsplit(text, allow_fragments=False)
    text = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if parts.netloc.lower() in ("", "localhost"):
        return url2pathname(text)
    if os.name == "nt":
        return f"//{parts.netloc}{unquote(text)}"
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(reference)} names another machine.",
        "A file URL has three slashes: file:///home/me/picture.png.",
    )


def open_regular(path: Path, reference: str, *, opener: Callable[[str, int], int] = os.open) -> tuple[BinaryIO, int]:
    """Open a regular file for reading; return it, unbuffered, and its size in bytes.

    A pipe, socket or device is refused without waiting for it. Blocks: call it in a worker thread.

    Args:
        opener: opens a path with flags, as ``os.open`` does.

    Raises:
        BridgeError: ``not_found``, ``permission_denied`` or ``invalid_argument``.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = opener(str(path), flags)
    except (OSError, ValueError) as error:
        raise _cannot_open(error, path, reference) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return os.fdopen(descriptor, "rb", buffering=0), status.st_size
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise _is_a_directory(path, reference)
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(reference)} is not a regular file but a device, pipe or socket.",
        "Give the path of a regular file.",
    )


def read_bounded(file: BinaryIO, max_bytes: int, reference: str) -> bytes:
    """Return the content of an open file; one byte more than ``max_bytes`` if it is larger, as after it has grown.

    Raises:
        BridgeError: if the disk fails.
    """
    data = bytearray()
    try:
        while len(data) <= max_bytes and (chunk := file.read(max_bytes + 1 - len(data))):
            data += chunk
    except OSError as error:
        raise cannot_read(reference, error) from error
    return bytes(data)


def cannot_read(reference: str, error: OSError) -> BridgeError:
    """Return the error for an opened file that cannot be read."""
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(reference)} cannot be read: {error.strerror}.",
        "Check the disk or copy the file elsewhere.",
    )


def _cannot_open(error: Exception, path: Path, reference: str) -> BridgeError:
    if isinstance(error, IsADirectoryError) or (isinstance(error, PermissionError) and path.is_dir()):
        return _is_a_directory(path, reference)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        near = similar_names(path.name, _file_names(path.parent, 500), most=3, likeness=0.7)
        meant = f"Did you mean {' or '.join(visible(name) for name in near)}? " if near else ""
        return BridgeError(
            ErrorCode.NOT_FOUND,
            f"There is no file {shown(reference)} (looked for {visible(str(path))}).",
            f"{meant}Check the path, or give an absolute one.",
        )
    if isinstance(error, PermissionError):
        return BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"The operating system does not allow reading {shown(reference)}.",
            "Change its permissions, or copy it to where the bridge's user may read.",
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a valid path"
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT, f"{shown(reference)} cannot be opened: {reason}.", "Give the path of a file."
    )


def _is_a_directory(path: Path, reference: str) -> BridgeError:
    names = sorted(_file_names(path, 200))[:5]
    example = f"such as {', '.join(visible(name) for name in names)}" if names else "one by one"
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT, f"{shown(reference)} is a directory.", f"Name the files in it, {example}."
    )


def _file_names(directory: Path, most: int) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in islice(entries, most) if entry.is_file() and entry.name[:1] != "."]
    except OSError:
        return []
