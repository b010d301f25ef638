"""Images by name: the content of the resource ``image://{name}``, and no other file."""

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote

import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import in_units, shown
from databricks_responses_mcp.media.formats import DRAWN_FORMATS, SVG, sniff
from databricks_responses_mcp.media.local_files import open_regular
from databricks_responses_mcp.media.pictures import slug
from databricks_responses_mcp.media.svg import SvgError, clean_svg

SCHEME = "image"
MAX_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,120}")


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
        if path.parent == self.directory and _is_name(path.name):
            return f"{SCHEME}://{path.name}"
        tag = hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:10]
        suffix = path.suffix.lower()
        name = f"{slug(path.stem)}-{tag}{suffix if _is_name(f'x{suffix}') else ''}"
        self._elsewhere[name] = path
        return f"{SCHEME}://{name}"

    async def read(self, name: str) -> tuple[bytes, str]:
        """Return the bytes and the MIME type of an image, by the name in its URI (percent-encoded or not).

        Raises:
            BridgeError: ``invalid_argument`` for what is not a plain file name, ``not_found``, ``permission_denied``
                for a link that leaves the directory, ``too_large`` above 64 MiB.
        """
        return await anyio.to_thread.run_sync(self._read, unquote(name), abandon_on_cancel=True)

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
                raise _not_found(name) from error
            raise
        except OSError as error:
            raise _not_found(name) from error
        image_format = sniff(data)
        if image_format not in DRAWN_FORMATS:
            raise _not_found(name)
        if image_format is SVG:
            # Also one from another program: what is read here is shown.
            data = _clean(data, name)
        return data, image_format.mime_type

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
            raise _not_found(name) from error
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


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and ".." not in name


def _is_safe(name: str) -> bool:
    return bool(name) and name.isprintable() and not name.startswith(".") and not re.search(r'[/\\:*?"<>|]|\.\.', name)


def _not_found(name: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_FOUND,
        f"There is no picture {shown(name)} here.",
        "It may have been moved or deleted; pictures saved outside RESPONSES_MCP_IMAGE_DIR are known by their URI "
        "only until the server restarts.",
    )
