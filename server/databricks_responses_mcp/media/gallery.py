"""Images by name: the content of the resource ``image://{name}``, and no other file."""

import hashlib
import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import in_units, shown
from databricks_responses_mcp.media.formats import DRAWN_FORMATS, DRAWN_SUFFIXES, SVG, sniff
from databricks_responses_mcp.media.local_files import open_regular
from databricks_responses_mcp.media.pictures import slug
from databricks_responses_mcp.media.svg import SvgError, clean_svg

SCHEME = "image"
MAX_BYTES = 64 * 1024 * 1024
_MAX_ENTRIES = 5000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,120}")


def is_picture_uri(reference: str) -> bool:
    """Return whether a reference is the URI of a picture, ``image://NAME``."""
    return reference.strip()[: len(SCHEME) + 3].lower() == f"{SCHEME}://"


def name_in_uri(uri: str) -> str:
    """Return the name of a picture in its URI."""
    return uri.strip()[len(SCHEME) + 3 :]


def is_generated_name(name: str) -> bool:
    """Return whether a name is one that generated pictures get: it is a file name in every file system."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def picture_to_show(data: bytes, name: str) -> tuple[bytes, str]:
    """Return the bytes of a picture as they may be shown, and their MIME type.

    Raises:
        BridgeError: ``not_found`` if it is not a picture; ``permission_denied`` for an SVG that cannot be shown safely.
    """
    image_format = sniff(data)
    if image_format not in DRAWN_FORMATS:
        raise no_such_picture(name)
    if image_format is SVG:
        # Also a file that another program wrote, because it is shown.
        data = _clean(data, name)
    return data, image_format.mime_type


class PictureGallery:
    """The images that this process saved, in any directory, and those in the default directory.

    Args:
        directory: where images are saved by default; it need not exist yet.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.expanduser().absolute()
        self._elsewhere: dict[str, Path] = {}

    def uri_for(self, path: Path) -> str:
        """Return the URI by which a saved image can be read from now on.

        An image in the default directory has its file name, and its URI is valid in later processes too. One that is
        saved elsewhere, or has a name that does not fit in a URI, gets a separate name that is valid in this process
        only.
        """
        path = path.absolute()
        if path.parent == self.directory and is_generated_name(path.name):
            return f"{SCHEME}://{path.name}"
        tag = hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:10]
        suffix = path.suffix.lower()
        name = f"{slug(path.stem)}-{tag}{suffix if is_generated_name(f'x{suffix}') else ''}"
        self._elsewhere[name] = path
        return f"{SCHEME}://{name}"

    async def read(self, name: str) -> tuple[bytes, str]:
        """Return the bytes and the MIME type of an image, by the name in its URI (percent-encoded or not).

        Raises:
            BridgeError: ``invalid_argument`` for what is not a plain file name, ``not_found``, ``permission_denied``
                for a link that leaves the directory, ``too_large`` above 64 MiB.
        """
        return await anyio.to_thread.run_sync(self._read, unquote(name), abandon_on_cancel=True)

    async def names(self) -> Sequence[str]:
        """Return the names of pictures in the default directory, the newest first."""
        return await anyio.to_thread.run_sync(_newest, self.directory, abandon_on_cancel=True)

    def _read(self, name: str) -> tuple[bytes, str]:
        path = self._elsewhere.get(name)
        if path is None:
            path = self._in_directory(name)
        try:
            file, size = open_regular(path, name)
            with file:
                if size > MAX_BYTES:
                    raise BridgeError(
                        ErrorCode.TOO_LARGE,
                        f"The picture {shown(name)} has {in_units(size)}; {in_units(MAX_BYTES)} can be read this way.",
                        "Open the file itself.",
                    )
                data = file.read()
        except BridgeError as error:
            if error.code is ErrorCode.NOT_FOUND:
                raise no_such_picture(name) from error
            raise
        except OSError as error:
            raise no_such_picture(name) from error
        return picture_to_show(data, name)

    def _in_directory(self, name: str) -> Path:
        if not _is_safe(name):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"{shown(name)} is not the name of a picture.",
                "Use the URI that came with the picture; it has a plain file name without a directory.",
            )
        path = self.directory / name
        try:
            real = path.resolve(strict=True)
            inside = real.is_relative_to(self.directory.resolve())
        except (OSError, RuntimeError) as error:
            raise no_such_picture(name) from error
        if not inside:
            raise BridgeError(
                ErrorCode.PERMISSION_DENIED,
                f"{shown(name)} is a link that leaves the directory of pictures.",
                "Open the file that it points to directly.",
            )
        return real


def _clean(data: bytes, name: str) -> bytes:
    try:
        return clean_svg(data).data
    except SvgError as error:
        raise BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"The picture {shown(name)} is an SVG that cannot be shown safely, as {error}.",
            "Look at the file itself with a text editor.",
        ) from error


def _newest(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            files = [(e.stat().st_mtime_ns, e.name) for e in islice(entries, _MAX_ENTRIES) if e.is_file()]
    except OSError:
        return []
    return [name for _, name in sorted(files, reverse=True) if name.endswith(DRAWN_SUFFIXES)]


def _is_safe(name: str) -> bool:
    return bool(name) and name.isprintable() and not name.startswith(".") and not re.search(r'[/\\:*?"<>|]|\.\.', name)


def no_such_picture(name: str) -> BridgeError:
    """Return the error for a picture that is not there."""
    return BridgeError(
        ErrorCode.NOT_FOUND,
        f"There is no picture {shown(name)} here.",
        "It may have been moved or deleted; pictures saved outside RESPONSES_MCP_IMAGE_DIR are known by their URI "
        "only until the server restarts.",
    )
