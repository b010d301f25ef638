"""Pictures to disk: the model's exact bytes, whole or not at all, never over another file."""

import errno
import hashlib
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media import base64_data
from databricks_responses_mcp.media.failures import printable
from databricks_responses_mcp.media.formats import IMAGE_SUFFIXES, Buffer, dimensions, sniff

SLUG_LENGTH = 48
_CHUNK = 1 << 20
_MOST_NUMBERS = 10_000
_WINDOWS_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin", "conout", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))}
)
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the system allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "the operating system does not allow writing there",
    errno.EPERM: "the operating system does not allow writing there",
    errno.ENOTDIR: "part of that path is a file, not a directory",
    errno.EEXIST: "part of that path is a file, not a directory",
    errno.ENAMETOOLONG: "the path is too long",
}


@dataclass(frozen=True, slots=True)
class SavedPicture:
    """A picture on disk.

    Attributes:
        path: where it is, absolute.
        mime_type: from its bytes; ``application/octet-stream`` if they are no picture we know.
        extension: with the dot, from its bytes; ``.bin`` if unknown.
        width: pixels, None if its header does not say.
        height: pixels, None if its header does not say.
        bytes: size of the file.
        sha256: hexadecimal digest of the file.
        requested_path: the file that was asked for, when ``path`` is another one: the picture is of another
            format than that name says, or the name was taken by another picture.
    """

    path: Path
    mime_type: str
    extension: str
    width: int | None
    height: int | None
    bytes: int
    sha256: str
    requested_path: Path | None = None


def decode_base64(data: Buffer | str) -> bytes:
    """The bytes of a picture that an API gave as base64, whichever alphabet, padding or prefix it used.

    Raises:
        BridgeError: ``upstream_error`` if it is empty or damaged.
    """
    try:
        decoded = base64_data.decode(data)
    except ValueError as error:
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            f"The picture's data is damaged: it is not base64 ({len(data)} characters).",
            "Ask for the picture again.",
            retryable=True,
        ) from error
    if not decoded:
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR, "The picture came without data.", "Ask for the picture again.", retryable=True
        )
    return decoded


def slug(prompt: str) -> str:
    """A readable file stem for a prompt: lower-case ASCII words joined by ``-``, 1 to 48 characters, safe anywhere."""
    plain = unicodedata.normalize("NFKD", prompt[:1000]).encode("ascii", "ignore").decode("ascii").lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) > SLUG_LENGTH:
        cut = words[: SLUG_LENGTH + 1].rfind("-")
        words = words[: cut if cut >= SLUG_LENGTH // 2 else SLUG_LENGTH].strip("-")
    if not words:
        return "picture"
    return f"{words}-picture" if words in _WINDOWS_RESERVED else words


def save_picture(data: Buffer, directory: Path, prompt: str) -> SavedPicture:
    """Write a picture under a name made of its prompt and its hash; blocks, so call it in a worker thread.

    ``directory`` is created if need be. It may also name a file (anything with a picture's suffix that is not an
    existing directory): then that name is used, but for its extension, which always follows the bytes.
    The file appears whole or not at all. An existing file is never overwritten: if it has the same content it is the
    result, else the new one gets a number. ``data`` is hashed and written in place, without a copy.

    Raises:
        BridgeError: ``internal``, with what the disk said and which setting moves the pictures.
    """
    image_format = sniff(data)
    extension = image_format.extension if image_format else ".bin"
    view = memoryview(data).cast("B")
    digest = hashlib.sha256(view).hexdigest()
    size = dimensions(view) or (None, None)

    requested: Path | None = None
    try:
        directory = directory.expanduser().absolute()
        if directory.suffix.lower() in IMAGE_SUFFIXES and not directory.is_dir():
            requested, directory = directory, directory.parent
            keeps = _same_type(requested.suffix.lower(), extension)
            stem, suffix = requested.stem, requested.suffix if keeps else extension
        else:
            stem, suffix = f"{slug(prompt)}-{digest[:10]}", extension
        directory.mkdir(parents=True, exist_ok=True)
        path = _write(view, directory, stem, suffix, digest)
    except OSError as error:
        raise _disk_failure(error, directory) from error
    except (ValueError, RuntimeError) as error:  # a NUL in it, or the home of a user that does not exist
        raise BridgeError(
            ErrorCode.INTERNAL,
            f"The picture could not be saved: {printable(str(directory))} is not a path on this machine.",
            "Name another place to save it, or set RESPONSES_MCP_IMAGE_DIR to a directory that can be written.",
        ) from error
    return SavedPicture(
        path=path,
        mime_type=image_format.mime_type if image_format else "application/octet-stream",
        extension=extension,
        width=size[0],
        height=size[1],
        bytes=len(view),
        sha256=digest,
        requested_path=requested if requested != path else None,
    )


def _same_type(suffix: str, extension: str) -> bool:
    aliases = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tif": ".tiff", ".heif": ".heic"}
    return aliases.get(suffix, suffix) == extension


def _write(view: memoryview, directory: Path, stem: str, suffix: str, digest: str) -> Path:
    names = _candidates(directory, stem, suffix)
    target = next(names)
    if _holds(target, len(view), digest):
        return target
    temporary = directory / f".{secrets.token_hex(8)}.part"
    try:
        _write_new_file(temporary, view)
        while True:
            try:
                _publish(temporary, target)
            except FileExistsError:
                if _holds(target, len(view), digest):
                    return target
                target = next(names)
            else:
                _sync_directory(directory)
                return target
    except StopIteration as error:
        raise BridgeError(
            ErrorCode.INTERNAL,
            f"{_MOST_NUMBERS} pictures already have the name {printable(stem)}{suffix}.",
            "Save it under another name.",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _candidates(directory: Path, stem: str, suffix: str) -> Iterator[Path]:
    yield directory / f"{stem}{suffix}"
    for number in range(2, _MOST_NUMBERS):
        yield directory / f"{stem}-{number}{suffix}"


def _write_new_file(path: Path, view: memoryview) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o666)  # the user's umask decides who may read, as for any file of theirs
    try:
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written : written + _CHUNK])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(temporary: Path, target: Path) -> None:
    """Give the finished file its name, or raise FileExistsError if something has that name."""
    if os.name == "nt":
        temporary.rename(target)  # Windows refuses an existing target
        return
    try:
        os.link(temporary, target)
        return
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES):
            raise
    # A file system without hard links (FAT, some network ones): claim the name, then replace our own empty claim.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        temporary.replace(target)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":
        return
    with suppress(OSError):  # some file systems cannot; the picture itself is synced
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _holds(path: Path, size: int, digest: str) -> bool:
    """Whether the path is a regular file with just this content."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _disk_failure(error: OSError, directory: Path) -> BridgeError:
    reason = _REASONS.get(error.errno or 0) or error.strerror or type(error).__name__
    return BridgeError(
        ErrorCode.INTERNAL,
        f"The picture could not be saved in {printable(str(directory))}: {reason}.",
        "Name another place to save it, or set RESPONSES_MCP_IMAGE_DIR to a directory that can be written.",
    )
