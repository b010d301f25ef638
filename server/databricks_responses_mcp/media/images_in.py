"""Converting a caller's images to data URLs that any endpoint accepts."""

import base64
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.base64_data import read_data_url
from databricks_responses_mcp.media.failures import in_units, shown
from databricks_responses_mcp.media.fetching import CheckURL, fetch
from databricks_responses_mcp.media.file_kinds import kind_of
from databricks_responses_mcp.media.formats import (
    ACCEPTED_FORMATS,
    GIF,
    PNG,
    ImageFormat,
    dimensions,
    is_animated,
    sniff,
)
from databricks_responses_mcp.media.local_files import read_bounded, resolve
from databricks_responses_mcp.media.path_policy import EVERYTHING, AllowedPaths
from databricks_responses_mcp.media.several import Sum, read_all

_ACCEPTED_NAMES = "PNG, JPEG, WEBP or a GIF that is not animated"
_ACCEPT = "image/png,image/jpeg,image/webp,image/gif;q=0.9,*/*;q=0.1"
_MAX_FILE_NAME = 255
# The first characters of PNG, JPEG, GIF and RIFF in base64.
_BASE64_OF_IMAGE = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image that can be sent.

    Attributes:
        url: a ``data:`` URL with the type detected from the bytes.
        mime_type: from the bytes.
        bytes: the size of the image itself, before base64.
        width: in pixels; None if its header does not contain it.
        height: in pixels; None if its header does not contain it.
        name: a file name to show.
    """

    url: str
    mime_type: str
    bytes: int
    width: int | None
    height: int | None
    name: str


async def load_image(
    reference: str,
    *,
    max_bytes: int,
    allow_private: bool = False,
    check_url: CheckURL | None = None,
    base: Path | None = None,
    allowed: AllowedPaths = EVERYTHING,
) -> InputImage:
    """Read an image from a path, a ``file://`` URL, an ``https://`` URL or a data URL, and return it inline.

    A web image is fetched here, because Claude endpoints refuse remote URLs and the workspace may not reach it.

    Args:
        reference: the path (absolute, ``~`` or relative to ``base``) or URL.
        max_bytes: the maximum size of an image, in bytes before base64.
        allow_private: whether plain http and addresses of the private network may be fetched.
        check_url: refuses URLs that may not be fetched.
        base: the directory for relative paths; the working directory if None.
        allowed: where local images may be read.

    Raises:
        BridgeError: ``invalid_argument``, ``too_large``, ``not_found``, ``permission_denied``, and for a web image
            also ``upstream_unavailable``, ``upstream_error`` or ``timeout``.
    """
    reference = reference.strip()
    scheme = reference[:8].lower()
    if scheme.startswith("data:") or _is_bare_base64(reference):
        return await anyio.to_thread.run_sync(_from_data_url, reference, max_bytes)
    if scheme.startswith(("https:", "http:")):
        fetched = await fetch(
            reference, max_bytes=max_bytes, accept=_ACCEPT, allow_private=allow_private, check_url=check_url
        )
        return await anyio.to_thread.run_sync(_inlined, fetched.data, fetched.name, reference)
    other = re.match(r"([a-z][a-z0-9+.-]+)://", reference, re.IGNORECASE)
    if other and other[1].lower() != "file":
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(reference)} is not an address that images can be read from.",
            "Give a local path, an https URL or a data URL.",
        )
    return await anyio.to_thread.run_sync(_from_file, reference, max_bytes, base, allowed, abandon_on_cancel=True)


async def load_images(
    references: Sequence[str],
    *,
    max_bytes: int,
    max_total_bytes: int | None = None,
    allow_private: bool = False,
    check_url: CheckURL | None = None,
    base: Path | None = None,
    allowed: AllowedPaths = EVERYTHING,
) -> list[InputImage]:
    """Read several images concurrently, as `load_image` does; the result has the order of ``references``.

    Raises:
        BridgeError: all problems in one error; ``too_large`` if together they have more than ``max_total_bytes`` bytes.
    """

    async def load(reference: str) -> InputImage:
        return await load_image(
            reference,
            max_bytes=max_bytes,
            allow_private=allow_private,
            check_url=check_url,
            base=base,
            allowed=allowed,
        )

    limit = Sum[InputImage](
        max_bytes=max_total_bytes,
        size=lambda image: image.bytes,
        hint="Send fewer or smaller images.",
        counts_repeats=True,
    )
    images = await read_all(references, load, "images", limit, base=base)
    return [images[reference] for reference in references]


def too_large(reference: str, size: int | None, max_bytes: int) -> BridgeError:
    """Return the error for an image over the limit; ``size`` in bytes if known."""
    has = f"has {in_units(size)}" if size is not None else "is too large"
    return BridgeError(
        ErrorCode.TOO_LARGE,
        f"{shown(reference)} {has}; an image may have {in_units(max_bytes)}.",
        "Scale it down or save it as JPEG or WEBP.",
    )


def _is_bare_base64(reference: str) -> bool:
    """Return whether a model passed base64 without the prefix of a data URL."""
    return len(reference) > _MAX_FILE_NAME and reference.startswith(_BASE64_OF_IMAGE)


def _from_file(reference: str, max_bytes: int, base: Path | None, allowed: AllowedPaths) -> InputImage:
    path = allowed.locate(resolve(reference, base), reference)
    file, size = allowed.open(path, reference)
    with file:
        if size > max_bytes:
            raise too_large(reference, size, max_bytes)
        data = read_bounded(file, max_bytes, reference)
    if len(data) > max_bytes:
        raise too_large(reference, len(data), max_bytes)
    return _inlined(data, path.name, reference)


def _from_data_url(reference: str, max_bytes: int) -> InputImage:
    if reference[:5].lower() != "data:":
        reference = f"data:;base64,{reference}"
    data = read_data_url(reference, max_bytes, too_large)
    image_format = sniff(data)
    name = f"image{image_format.extension}" if image_format else "image"
    return _inlined(data, name, reference)


def _inlined(data: bytes | bytearray, name: str, reference: str) -> InputImage:
    image_format = sniff(data)
    if image_format not in ACCEPTED_FORMATS:
        raise _not_accepted(data, image_format, reference)
    if image_format is GIF and is_animated(data):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(reference)} is an animated GIF; models take {_ACCEPTED_NAMES}.",
            "Send one frame, for instance: magick 'in.gif[0]' out.png.",
        )
    size = dimensions(data)
    if size is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(reference)} is a damaged {image_format.name}: its header is incomplete or has no size.",
            "Save or download it again.",
        )
    url = b"data:%b;base64,%b" % (image_format.mime_type.encode(), base64.b64encode(data))
    return InputImage(url.decode("ascii"), image_format.mime_type, len(data), size[0], size[1], name)


def _not_accepted(data: bytes | bytearray, found: ImageFormat | None, reference: str) -> BridgeError:
    if found:
        what = f"is {found.name}"
    elif not data:
        what = "is empty"
    elif kind := kind_of(data):
        what = f"is {kind.name}"
    elif re.match(rb"(?i)\s*<(!doctype )?html", data[:200]):
        what = "is a web page"
    else:
        guessed = None if reference[:5].lower() == "data:" else mimetypes.guess_type(reference)[0]
        but = f", though its name says {guessed}" if guessed and guessed.startswith("image/") else ""
        what = f"is not an image{but}"
    example = (
        "rsvg-convert in.svg -o out.png" if found and found.name == "SVG" else f"magick in{_suffix(found)} out.png"
    )
    hint = f"Convert it first, for instance: {example}." if found else "Pass other files in `files`."
    return BridgeError(ErrorCode.INVALID_ARGUMENT, f"{shown(reference)} {what}; models take {_ACCEPTED_NAMES}.", hint)


def _suffix(image_format: ImageFormat | None) -> str:
    return (image_format or PNG).extension
