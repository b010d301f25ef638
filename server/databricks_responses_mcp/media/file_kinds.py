"""The kind of a file, detected from its bytes alone: no file name, no declared type, no decoder.

All code that reads a file as text uses this first: many binary files are valid in some character encoding, so
successful decoding does not prove that a file is text.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from databricks_responses_mcp.media.formats import Buffer, sniff

HEAD_BYTES = 1024
"""The number of bytes that `kind_of` needs from the start of a file, except for the content of a ZIP archive."""
_MAX_ENTRIES = 4096
"""The maximum number of entries of a ZIP archive that are examined."""
_ZIP_COMMENT_BYTES = 65_557
"""The maximum size of the end record of a ZIP archive: its fixed part and a comment."""


class Medium(StrEnum):
    """How a model can use a file."""

    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"
    OTHER = "other"
    """Neither text nor a type that models accept."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of file.

    Attributes:
        name: with its article, for errors: ``a PDF``.
        mime_type: the type that is sent to a model; empty if no model accepts it.
        extension: with the dot; empty if no model accepts it.
    """

    name: str
    medium: Medium
    mime_type: str = ""
    extension: str = ""


_OFFICE = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"

PDF = FileKind("a PDF", Medium.DOCUMENT, "application/pdf", ".pdf")
RTF = FileKind("an RTF document", Medium.DOCUMENT, "application/rtf", ".rtf")
DOCX = FileKind("a Word document", Medium.DOCUMENT, f"{_OFFICE}.wordprocessingml.document", ".docx")
XLSX = FileKind("an Excel workbook", Medium.DOCUMENT, f"{_OFFICE}.spreadsheetml.sheet", ".xlsx")
PPTX = FileKind("a PowerPoint presentation", Medium.DOCUMENT, f"{_OFFICE}.presentationml.presentation", ".pptx")
DOC = FileKind("a Word 97 document", Medium.DOCUMENT, "application/msword", ".doc")
XLS = FileKind("an Excel 97 workbook", Medium.DOCUMENT, "application/vnd.ms-excel", ".xls")
PPT = FileKind("a PowerPoint 97 presentation", Medium.DOCUMENT, "application/vnd.ms-powerpoint", ".ppt")
ODT = FileKind("an OpenDocument text", Medium.DOCUMENT, f"{_ODF}.text", ".odt")
ODS = FileKind("an OpenDocument spreadsheet", Medium.DOCUMENT, f"{_ODF}.spreadsheet", ".ods")
ODP = FileKind("an OpenDocument presentation", Medium.DOCUMENT, f"{_ODF}.presentation", ".odp")
EPUB = FileKind("an EPUB book", Medium.DOCUMENT, "application/epub+zip", ".epub")
CSV = FileKind("a CSV file", Medium.DOCUMENT, "text/csv", ".csv")
TSV = FileKind("a TSV file", Medium.DOCUMENT, "text/tab-separated-values", ".tsv")

MP3 = FileKind("an MP3 recording", Medium.AUDIO, "audio/mp3", ".mp3")
WAV = FileKind("a WAV recording", Medium.AUDIO, "audio/wav", ".wav")
FLAC = FileKind("a FLAC recording", Medium.AUDIO, "audio/flac", ".flac")
OGG = FileKind("an Ogg recording", Medium.AUDIO, "audio/ogg", ".ogg")
AAC = FileKind("an AAC recording", Medium.AUDIO, "audio/aac", ".aac")
AIFF = FileKind("an AIFF recording", Medium.AUDIO, "audio/aiff", ".aiff")
M4A = FileKind("an MPEG-4 recording", Medium.AUDIO, "audio/mp4", ".m4a")

MP4 = FileKind("an MPEG-4 video", Medium.VIDEO, "video/mp4", ".mp4")
MOV = FileKind("a QuickTime video", Medium.VIDEO, "video/quicktime", ".mov")
THREE_GP = FileKind("a 3GP video", Medium.VIDEO, "video/3gpp", ".3gp")
WEBM = FileKind("a WebM or Matroska video", Medium.VIDEO, "video/webm", ".webm")
AVI = FileKind("an AVI video", Medium.VIDEO, "video/avi", ".avi")
MPEG = FileKind("an MPEG video", Medium.VIDEO, "video/mpeg", ".mpg")
FLV = FileKind("a Flash video", Medium.VIDEO, "video/x-flv", ".flv")
WMV = FileKind("a Windows Media video", Medium.VIDEO, "video/wmv", ".wmv")

ZIP = FileKind("a ZIP archive", Medium.OTHER)
OLE = FileKind("a file of an old Microsoft program", Medium.OTHER)
_ARCHIVE = FileKind("a compressed archive", Medium.OTHER)
_PROGRAM = FileKind("a compiled program", Medium.OTHER)
_DATABASE = FileKind("an SQLite database", Medium.OTHER)
_PARQUET = FileKind("a Parquet file", Medium.OTHER)
_FONT = FileKind("a font", Medium.OTHER)

_STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"{\\rtf", RTF),
    *((b"ID3" + bytes((version,)), MP3) for version in (2, 3, 4)),
    *((bytes((0xFF, second)), MP3) for second in (0xFB, 0xFA, 0xF3, 0xF2)),
    *((bytes((0xFF, second)), AAC) for second in (0xF1, 0xF9)),
    (b"fLaC\0", FLAC),
    (b"fLaC\x80", FLAC),
    (b"OggS\0", OGG),
    (b"\x1aE\xdf\xa3", WEBM),
    (b"\0\0\x01\xba", MPEG),
    (b"\0\0\x01\xb3", MPEG),
    (b"FLV\x01", FLV),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", WMV),
    (b"\x1f\x8b", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"\xfd7zXZ\0", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"\x7fELF", _PROGRAM),
    (b"\0asm", _PROGRAM),
    *((magic, _PROGRAM) for magic in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")),
    (b"SQLite format 3\0", _DATABASE),
    (b"PAR1\x15", _PARQUET),
    *((magic + version, _FONT) for magic in (b"wOFF", b"wOF2") for version in (b"\0\x01\0\0", b"OTTO")),
)
"""The first bytes of a file, for kinds that these alone determine."""

_IN_CONTAINER = {b"WAVE": WAV, b"AVI ": AVI, b"AIFF": AIFF, b"AIFC": AIFF}
_BRANDS = {b"M4A ": M4A, b"M4B ": M4A, b"qt  ": MOV, b"3gp4": THREE_GP, b"3gp5": THREE_GP, b"3gp6": THREE_GP}
_PACKED = {b"word/": DOCX, b"xl/": XLSX, b"ppt/": PPTX}
_DECLARED = {kind.mime_type.encode(): kind for kind in (ODT, ODS, ODP, EPUB)}
_OLE_STREAMS = (("WordDocument", DOC), ("Workbook", XLS), ("Book", XLS), ("PowerPoint Document", PPT))


def kind_of(data: Buffer) -> FileKind | None:
    """Return the kind of a file; None for possible text, which has no signature. SVG and CSV are text.

    Args:
        data: the file, or its first `HEAD_BYTES`; the content of a ZIP archive is detected only from the whole file.
    """
    head = bytes(memoryview(data)[:HEAD_BYTES])
    # PDF readers accept white space and a byte order mark before the header.
    if head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\0\f").startswith(b"%PDF-"):
        return PDF
    picture = sniff(head)
    if picture is not None:
        if picture.name == "SVG":
            return None
        return FileKind(f"a picture ({picture.name})", Medium.IMAGE, picture.mime_type, picture.extension)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _packed(data)
    if head[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return _ole(data)
    if head[:4] in (b"RIFF", b"FORM"):
        return _IN_CONTAINER.get(head[8:12])
    if head[4:8] == b"ftyp" and head[:2] == b"\0\0":
        return _BRANDS.get(head[8:12], MP4)
    if head[:3] == b"BZh" and head[4:10] == b"1AY&SY":
        return _ARCHIVE
    if head[:2] == b"MZ" and b"\0" in head[:64]:
        return _PROGRAM
    return next((kind for start, kind in _STARTS if head.startswith(start)), None)


def table_kind(name: str) -> FileKind | None:
    """Return the kind of table from a text file's name; None for another file: the bytes do not distinguish a table."""
    lower = name.lower()
    return next((kind for kind in (CSV, TSV) if lower.endswith(kind.extension)), None)


def _packed(data: Buffer) -> FileKind:
    """Return the kind of a ZIP archive: an office document by the names in its directory, or by the declared type."""
    view = memoryview(data)
    if bytes(view[30:38]) == b"mimetype":
        (size,) = struct.unpack_from("<I", view, 18) if len(view) >= 30 else (0,)
        declared = _DECLARED.get(bytes(view[38 : 38 + min(size, 100)]))
        if declared is not None:
            return declared
    names = set(_names(view))
    if b"[Content_Types].xml" in names:
        for start, kind in _PACKED.items():
            if any(name.startswith(start) for name in names):
                return kind
    return ZIP


def _names(view: memoryview) -> Iterator[bytes]:
    """Yield the names in a ZIP archive's directory, up to the limit; none if it is incomplete."""
    tail = bytes(view[-_ZIP_COMMENT_BYTES:])
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        return
    (offset,) = struct.unpack_from("<I", tail, at + 16)
    for _ in range(_MAX_ENTRIES):
        if offset + 46 > len(view) or bytes(view[offset : offset + 4]) != b"PK\x01\x02":
            return
        name, extra, comment = struct.unpack_from("<HHH", view, offset + 28)
        yield bytes(view[offset + 46 : offset + 46 + name])
        offset += 46 + name + extra + comment


def _ole(data: Buffer) -> FileKind:
    raw = bytes(data)
    # The directory names the streams in UTF-16.
    return next((kind for name, kind in _OLE_STREAMS if name.encode("utf-16-le") in raw), OLE)
