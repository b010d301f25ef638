"""Files that a caller names for a model: text for the prompt, and attachments that are sent unchanged.

The bytes of a file determine which of the two it is. The exception is a large table (CSV, TSV): its bytes are text, and
it is attached if it is too large for the prompt.
"""

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.base64_data import read_data_url
from databricks_responses_mcp.media.failures import in_units, shown
from databricks_responses_mcp.media.fetching import CheckURL, fetch
from databricks_responses_mcp.media.file_kinds import HEAD_BYTES, MP4, PDF, FileKind, Medium, kind_of, table_kind
from databricks_responses_mcp.media.formats import ACCEPTED_FORMATS
from databricks_responses_mcp.media.local_files import cannot_read, read_bounded, resolve
from databricks_responses_mcp.media.path_policy import EVERYTHING, AllowedPaths
from databricks_responses_mcp.media.several import Sum, read_all
from databricks_responses_mcp.media.text_files import TextFile, lines_of, span_of, split_range, whole_text
from databricks_responses_mcp.visible import visible

_SENT = frozenset({Medium.DOCUMENT, Medium.AUDIO, Medium.VIDEO})
_PICTURE_TYPES = frozenset(picture.mime_type for picture in ACCEPTED_FORMATS)
_NAME_CHARACTERS = 200
_VIDEO_HOSTS = frozenset({"www.youtube.com", "youtube.com", "m.youtube.com", "youtu.be"})
"""Hosts whose URLs are pages with a video, which models that support it load themselves."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is sent to a model unchanged, beside the prompt.

    Attributes:
        name: a file name with an extension for its kind, which some APIs require.
        medium: document, audio or video.
        mime_type: from the bytes.
        url: a ``data:`` URL, or the ``https:`` URL of a file whose content is not sent.
        bytes: the size of the file itself, before base64; 0 if its content is not sent.
    """

    name: str
    medium: Medium
    mime_type: str
    url: str
    bytes: int


InputFile = TextFile | Attachment


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The size limits of one file, in bytes.

    Attributes:
        text: for a text file.
        attachment: for a document, a recording or a video.
    """

    text: int
    attachment: int = 20_000_000


async def read_file(
    reference: str,
    limits: FileLimits,
    *,
    allow_private: bool = False,
    check_url: CheckURL | None = None,
    base: Path | None = None,
    allowed: AllowedPaths = EVERYTHING,
) -> InputFile:
    """Read a file, or the lines of a text file in the reference.

    ``path:10-20``, ``path:10``, ``path:10-``, ``path#L10`` and ``path#L10-L20`` are ranges, unless a file with exactly
    that name exists. A range may be from a file of any size and ends at the last line at the latest. A web file is
    fetched here; a document that is too large for that is fetched by the model's provider.

    Args:
        reference: path (absolute, ``~`` or relative to ``base``), ``file://``, ``https://`` or data URL; a path with
            or without a range.
        allow_private: whether plain http and addresses of the private network may be fetched.
        check_url: refuses URLs that may not be used.
        base: the directory for relative paths; the working directory if None.
        allowed: where local files may be read.

    Raises:
        BridgeError: ``invalid_argument`` (a directory, a file that models do not accept, a range outside the file),
            ``not_found``, ``permission_denied`` or ``too_large``; for a web file also ``upstream_unavailable``,
            ``upstream_error`` or ``timeout``.
    """
    reference = reference.strip()
    scheme = reference[:8].lower()
    if scheme.startswith("data:"):
        return await anyio.to_thread.run_sync(_from_data_url, reference, limits)
    if scheme.startswith(("https:", "http:")):
        return await _from_web(reference, limits, allow_private=allow_private, check_url=check_url)
    return await anyio.to_thread.run_sync(_from_path, reference, limits, base, allowed, abandon_on_cancel=True)


async def read_files(
    references: Sequence[str],
    limits: FileLimits,
    *,
    max_text_bytes: int | None = None,
    max_attachment_bytes: int | None = None,
    allow_private: bool = False,
    check_url: CheckURL | None = None,
    base: Path | None = None,
    allowed: AllowedPaths = EVERYTHING,
) -> list[InputFile]:
    """Read several files concurrently, as `read_file` does, in the order of ``references``; each of them once.

    Args:
        max_text_bytes: the maximum size of all their text, in bytes of UTF-8; None for no limit.
        max_attachment_bytes: the maximum size of all other files in bytes; None for no limit.

    Raises:
        BridgeError: all problems in one error; ``too_large`` above one of the sums.
    """

    async def read(reference: str) -> InputFile:
        return await read_file(
            reference, limits, allow_private=allow_private, check_url=check_url, base=base, allowed=allowed
        )

    text = Sum[InputFile](
        max_bytes=max_text_bytes,
        size=lambda file: len(file.text.encode("utf-8", "surrogatepass")) if isinstance(file, TextFile) else 0,
        hint="Send fewer files, or the lines that matter, as in notes.txt:1-200.",
        counts_repeats=False,
    )
    attachments = Sum[InputFile](
        max_bytes=max_attachment_bytes,
        size=lambda file: file.bytes if isinstance(file, Attachment) else 0,
        hint="Send fewer documents, or only the pages that matter.",
        counts_repeats=False,
    )
    files = await read_all(references, read, "files", text, attachments, base=base)
    return list({id(file): file for file in files.values()}.values())


def _from_path(reference: str, limits: FileLimits, base: Path | None, allowed: AllowedPaths) -> InputFile:
    name, span = reference, None
    path = resolve(reference, base)
    # Before the disk is accessed: the refusal of a path must not show whether the file exists.
    path = allowed.locate(path, reference)
    ranged = split_range(reference)
    # A file with exactly that name takes precedence; "C:10" is a file of drive C on Windows.
    if ranged and not os.path.lexists(path) and not (os.name == "nt" and len(ranged[0]) == 1):
        name = ranged[0]
        path = allowed.locate(resolve(name, base), reference)
        span = span_of(ranged[1], reference)
    file, size = allowed.open(path, reference if span is None else name)
    try:
        with file:
            return _read(file, name, path.name, size, span, limits)
    except OSError as error:
        raise cannot_read(reference, error) from error


def _read(
    file: BinaryIO, name: str, file_name: str, size: int, span: tuple[int, int | None] | None, limits: FileLimits
) -> InputFile:
    kind = kind_of(read_bounded(file, HEAD_BYTES, name)[:HEAD_BYTES])
    file.seek(0)
    if span is not None:
        if kind is not None:
            whole = read_bounded(file, limits.attachment, name) if size <= limits.attachment else b""
            raise _has_no_lines(name, kind_of(whole) or kind)
        return lines_of(file, name, size, span, limits.text)
    if kind is not None and kind.medium is Medium.IMAGE:
        raise _not_sent(name, kind)
    most = _most(kind, file_name, limits)
    if size > most:
        raise _too_large(name, size, most, kind)
    # Read again from the start: the file may have been replaced since its beginning was read.
    return _from_bytes(read_bounded(file, most, name), name, file_name, limits)


async def _from_web(
    reference: str, limits: FileLimits, *, allow_private: bool, check_url: CheckURL | None
) -> InputFile:
    host, name = _host_and_name(reference)
    if check_url is not None:
        check_url(reference)
    if host in _VIDEO_HOSTS:
        return Attachment("video", Medium.VIDEO, MP4.mime_type, reference, 0)
    most = max(limits.text, limits.attachment)
    try:
        fetched = await fetch(reference, max_bytes=most, allow_private=allow_private, check_url=check_url)
    except BridgeError as error:
        if error.code is not ErrorCode.TOO_LARGE or not name.lower().endswith(PDF.extension):
            raise
        return Attachment(_shown_name(name), Medium.DOCUMENT, PDF.mime_type, reference, 0)
    return await anyio.to_thread.run_sync(_from_bytes, fetched.data, reference, fetched.name, limits)


def _from_data_url(reference: str, limits: FileLimits) -> InputFile:
    most = max(limits.text, limits.attachment)
    return _from_bytes(read_data_url(reference, most, _too_large), reference, "file", limits)


def _from_bytes(data: bytes, name: str, file_name: str, limits: FileLimits) -> InputFile:
    """Return the content of a whole file as text or attachment.

    Args:
        name: the name from the caller.
        file_name: its last part, if it has one.
    """
    kind = kind_of(data)
    most = _most(kind, file_name, limits)
    if len(data) > most:
        raise _too_large(name, len(data), most, kind)
    if kind is None:
        is_url = re.match(r"(?i)data:|https?:", name) is not None
        text = whole_text(data, file_name if is_url else name)
        table = table_kind(file_name) if len(data) > limits.text else None
        if table is None:
            return text
        kind = table
    if kind.medium not in _SENT:
        raise _not_sent(name, kind)
    if not file_name.lower().endswith(kind.extension):
        file_name += kind.extension
    url = b"data:%b;base64,%b" % (kind.mime_type.encode(), base64.b64encode(data))
    return Attachment(_shown_name(file_name), kind.medium, kind.mime_type, url.decode("ascii"), len(data))


def _host_and_name(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", unquote(parts.path).rpartition("/")[2]
    except ValueError:
        return "", ""


def _shown_name(file_name: str) -> str:
    """Return a file name for a model: without characters that move others, and with its extension."""
    return visible(file_name)[-_NAME_CHARACTERS:]


def _most(kind: FileKind | None, file_name: str, limits: FileLimits) -> int:
    """Return the size limit for a file of this kind, in bytes."""
    is_table = kind is None and table_kind(file_name) is not None
    return max(limits.text, limits.attachment) if is_table else limits.text if kind is None else limits.attachment


def _has_no_lines(name: str, kind: FileKind) -> BridgeError:
    hint = "Name it without lines." if kind.medium in _SENT else _advice(kind)
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT, f"{shown(name)} is {kind.name}, so no lines can be taken from it.", hint
    )


def _not_sent(name: str, kind: FileKind) -> BridgeError:
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT, f"{shown(name)} is {kind.name}, not text or a document.", _advice(kind)
    )


def _advice(kind: FileKind) -> str:
    if kind.medium is Medium.IMAGE:
        convert = "" if kind.mime_type in _PICTURE_TYPES else "Convert it to PNG. "
        return f"{convert}Give it in `images` instead of `files`."
    return "Unpack it, or save what it contains as text or PDF, and give that."


def _too_large(name: str, size: int, max_bytes: int, kind: FileKind | None = None) -> BridgeError:
    if kind is None:
        hint = f"Ask for the lines that matter, as in {visible(name)[-100:]}:1-200."
        if name[:5].lower() in ("data:", "http:", "https"):
            hint = "Save the part that matters as a file and give its path."
    else:
        hint = "Send the part of it that matters; RESPONSES_MCP_MAX_DOCUMENT_BYTES is the limit."
    return BridgeError(
        ErrorCode.TOO_LARGE, f"{shown(name)} has {in_units(size)}; {in_units(max_bytes)} of a file can be sent.", hint
    )
