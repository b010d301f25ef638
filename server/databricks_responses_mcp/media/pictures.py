"""Saving images: the model's exact bytes, atomically, and never over another file."""

import errno
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media import base64_data
from databricks_responses_mcp.media.folders import Folder, Folders
from databricks_responses_mcp.media.formats import DRAWN_FORMATS, IMAGE_SUFFIXES, SVG, Buffer, dimensions, sniff
from databricks_responses_mcp.media.svg import CleanSvg, SvgError, clean_svg
from databricks_responses_mcp.media.write_journal import Entry, WriteJournal, copy_name
from databricks_responses_mcp.media.write_policy import WritePolicy
from databricks_responses_mcp.visible import visible

SLUG_LENGTH = 48
_CHUNK = 1 << 20
_DIGEST_IN_NAME = 24
_MAX_NUMBERS = 10_000
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
    """A saved image.

    Attributes:
        path: its absolute path.
        mime_type: from its bytes; ``application/octet-stream`` if they are not a known image.
        extension: with the dot, from its bytes; ``.bin`` if unknown.
        width: in pixels; None if its header does not contain it.
        height: in pixels; None if its header does not contain it.
        bytes: the size of the file.
        sha256: hexadecimal digest of the file.
        requested_path: the requested file, if ``path`` is another one: the image has another format than that name
            says, or another image had the name.
        removed: what was removed from an SVG because it does more than draw.
    """

    path: Path
    mime_type: str
    extension: str
    width: int | None
    height: int | None
    bytes: int
    sha256: str
    requested_path: Path | None = None
    removed: tuple[str, ...] = ()


def decode_base64(data: Buffer | str) -> bytes:
    """Return the bytes of an image from an API's base64, with any alphabet, padding or prefix.

    Raises:
        BridgeError: ``upstream_error`` if it is empty or damaged.
    """
    try:
        decoded = base64_data.decode(data)
    except ValueError as error:
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            f"The image's data is damaged: it is not base64 ({len(data)} characters).",
            "Request the image again.",
            retryable=True,
        ) from error
    if not decoded:
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR, "The image has no data.", "Request the image again.", retryable=True
        )
    return decoded


def slug(prompt: str) -> str:
    """Return a readable file stem for a prompt: lower-case ASCII words joined by ``-``, 1 to 48 characters."""
    plain = unicodedata.normalize("NFKD", prompt[:1000]).encode("ascii", "ignore").decode("ascii").lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) > SLUG_LENGTH:
        cut = words[: SLUG_LENGTH + 1].rfind("-")
        words = words[: cut if cut >= SLUG_LENGTH // 2 else SLUG_LENGTH].strip("-")
    if not words:
        return "picture"
    return f"{words}-picture" if words in _WINDOWS_RESERVED else words


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture that may be kept, and how.

    Attributes:
        name: a file name made of its prompt and its content.
        data: its bytes; an SVG's as `svg.clean_svg` makes them.
        mime_type: from its bytes.
        width: pixels, None if its header does not say.
        height: pixels, None if its header does not say.
        sha256: hexadecimal digest of the bytes.
        removed: what was left out of an SVG because it does more than draw.
    """

    name: str
    data: memoryview
    mime_type: str
    width: int | None
    height: int | None
    sha256: str
    removed: tuple[str, ...] = ()


def prepare_picture(data: Buffer, prompt: str) -> PreparedPicture:
    """Check a picture that a model has drawn, and name it; blocks, so call it in a worker thread.

    Raises:
        BridgeError: ``upstream_error`` for what is no picture, or an SVG that cannot be shown safely.
    """
    image_format = sniff(data)
    svg = _clean(data) if image_format is SVG else None
    view = memoryview(data if svg is None else svg.data).cast("B")
    size = (dimensions(view) if svg is None else svg.size) or (None, None)
    if image_format not in DRAWN_FORMATS or (size[0] is None and svg is None):
        raise _not_written("it is not a PNG, JPEG, WEBP, GIF or SVG")
    digest = hashlib.sha256(view).hexdigest()
    return PreparedPicture(
        name=f"{slug(prompt)}-{digest[:_DIGEST_IN_NAME]}{image_format.extension}",
        data=view,
        mime_type=image_format.mime_type,
        width=size[0],
        height=size[1],
        sha256=digest,
        removed=() if svg is None else svg.removed,
    )


def save_picture(
    data: Buffer,
    directory: Path,
    prompt: str,
    *,
    policy: WritePolicy | None = None,
    journal: WriteJournal | None = None,
) -> SavedPicture:
    """Write an image with a name made of its prompt and its hash; blocks, so call it in a worker thread.

    ``directory`` is created if necessary. It may also name a file (any name with an image's suffix that is not an
    existing directory): then that name is used, except its extension, which always follows the bytes. The file is
    written atomically. An existing file is never overwritten: if it has the same content it is the result, else the new
    one gets a number. ``data`` is hashed and written without a copy. An SVG is written as `svg.clean_svg` returns it:
    the file may be opened in a browser.

    Args:
        policy: where files may be created; it also refuses data that is not an image. None is for a person who names
            the place.
        journal: records the write while it is in progress.

    Raises:
        BridgeError: ``internal``, with the disk's error and the setting that moves the images; ``permission_denied`` or
            ``invalid_argument`` if the policy does not allow the place; ``upstream_error`` for data that is not an
            image.
    """
    image_format = sniff(data)
    extension = image_format.extension if image_format else ".bin"
    svg = _clean(data) if image_format is SVG else None
    view = memoryview(data if svg is None else svg.data).cast("B")
    size = (dimensions(view) if svg is None else svg.size) or (None, None)
    if policy is not None and (image_format not in DRAWN_FORMATS or (size[0] is None and svg is None)):
        raise _not_written("it is not a PNG, JPEG, WEBP, GIF or SVG")
    digest = hashlib.sha256(view).hexdigest()

    requested: Path | None = None
    try:
        directory = directory.expanduser().absolute()
        if names_a_picture(directory):
            requested, directory = directory, directory.parent
            keeps = _same_type(requested.suffix.lower(), extension)
            stem, suffix = requested.stem, requested.suffix if keeps else extension
        else:
            stem, suffix = f"{slug(prompt)}-{digest[:10]}", extension
        if policy is not None:
            directory = policy.check_new(directory / f"{stem}{suffix}", str(directory)).parent
            requested = requested and directory / requested.name
        with ExitStack() as stack:
            folder = _folder(directory, policy, stack)
            entry = stack.enter_context(journal.entry()) if journal is not None else None
            path = folder.path / _write(view, folder, stem, suffix, digest, entry)
    except OSError as error:
        raise _disk_failure(error, directory) from error
    except (ValueError, RuntimeError) as error:  # it contains a NUL, or the home of a user that does not exist
        raise BridgeError(
            ErrorCode.INTERNAL,
            f"The image could not be saved: {visible(str(directory))} is not a path on this machine.",
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
        removed=() if svg is None else svg.removed,
    )


def _clean(data: Buffer) -> CleanSvg:
    try:
        return clean_svg(data)
    except SvgError as error:
        raise _not_written(f"it is an SVG that cannot be shown safely, as {error}") from error


def _not_written(why: str) -> BridgeError:
    return BridgeError(
        ErrorCode.UPSTREAM_ERROR,
        f"What the model sent is not written to the disk: {why}.",
        "Request the image again.",
        retryable=True,
    )


def names_a_picture(path: Path) -> bool:
    """Return whether a path names a file to save an image to, rather than a directory. Accesses the disk."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()


def _folder(directory: Path, policy: WritePolicy | None, stack: ExitStack) -> Folder:
    """Return the directory, and create it if it does not exist."""
    if policy is not None:
        return stack.enter_context(Folders(policy.allowed)).make(directory)
    directory.mkdir(parents=True, exist_ok=True)
    return Folder(directory, None)


def _same_type(suffix: str, extension: str) -> bool:
    aliases = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tif": ".tiff", ".heif": ".heic"}
    return aliases.get(suffix, suffix) == extension


def _write(view: memoryview, folder: Folder, stem: str, suffix: str, digest: str, entry: Entry | None) -> str:
    """Write the image with the first of its names that is unused, or has the same content; yield that name."""
    names = _candidates(stem, suffix)
    target = next(names)
    if _holds(folder, target, len(view), digest):
        return target
    temporary = copy_name("part")
    if entry is not None:
        entry.begin_file(folder.path, temporary)
    try:
        _write_new_file(folder, temporary, view)
        while True:
            try:
                _publish(folder, temporary, target, entry)
            except FileExistsError:
                if _holds(folder, target, len(view), digest):
                    return target
                target = next(names)
            else:
                _sync_directory(folder.path)
                return target
    except StopIteration as error:
        raise BridgeError(
            ErrorCode.INTERNAL,
            f"{_MAX_NUMBERS} images already have the name {visible(stem)}{suffix}.",
            "Save it under another name.",
        ) from error
    finally:
        folder.discard(temporary)


def _candidates(stem: str, suffix: str) -> Iterator[str]:
    yield f"{stem}{suffix}"
    for number in range(2, _MAX_NUMBERS):
        yield f"{stem}-{number}{suffix}"


def _write_new_file(folder: Folder, name: str, view: memoryview) -> None:
    descriptor = folder.create(name, 0o666)  # the user's umask decides who may read, as for their other files
    try:
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written : written + _CHUNK])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(folder: Folder, temporary: str, target: str, entry: Entry | None) -> None:
    """Give the finished file its name, or raise FileExistsError if the name is used."""
    if os.name == "nt":
        folder.rename(temporary, target)
        return
    if folder.link(temporary, target):
        return
    # A file system without hard links (FAT, some network ones): create an empty file, then replace it.
    if entry is not None:
        if folder.status(target) is not None:
            raise FileExistsError(target)
        entry.claim(folder.path, target)
    os.close(folder.create(target, 0o666))
    try:
        folder.replace(temporary, target)
    except OSError:
        folder.discard(target)
        raise


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":
        return
    with suppress(OSError):  # some file systems cannot; the image itself is synced
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _holds(folder: Folder, name: str, size: int, digest: str) -> bool:
    """Return whether a regular file with that name has exactly this content."""
    try:
        status = folder.status(name)
        return status is not None and status.size == size and folder.digest(name) == digest
    except OSError:
        return False


def _disk_failure(error: OSError, directory: Path) -> BridgeError:
    reason = _REASONS.get(error.errno or 0) or error.strerror or type(error).__name__
    return BridgeError(
        ErrorCode.INTERNAL,
        f"The image could not be saved in {visible(str(directory))}: {reason}.",
        "Name another place to save it, or set RESPONSES_MCP_IMAGE_DIR to a directory that can be written.",
    )
