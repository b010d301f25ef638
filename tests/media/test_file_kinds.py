"""Kinds of files are told by their bytes, whatever their names are and whatever decoding they would survive."""

import codecs
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.media import file_kinds
from databricks_responses_mcp.media.file_kinds import FileKind, Medium, kind_of, table_kind
from harness.documents import archive, office, pdf, wav

KNOWN = {
    "pdf": (pdf("Hello"), file_kinds.PDF),
    "pdf after a mark and white space": (codecs.BOM_UTF8 + b"\r\n " + pdf("Hello"), file_kinds.PDF),
    "docx": (office("docx"), file_kinds.DOCX),
    "xlsx": (office("xlsx"), file_kinds.XLSX),
    "pptx": (office("pptx"), file_kinds.PPTX),
    "odt": (archive(mimetype=b"application/vnd.oasis.opendocument.text"), file_kinds.ODT),
    "epub": (archive(mimetype=b"application/epub+zip"), file_kinds.EPUB),
    "zip": (archive(a=b"text"), file_kinds.ZIP),
    "a zip that only contains a docx": (archive(a=office("docx")), file_kinds.ZIP),
    "a zip that is cut off": (office("docx")[:60], file_kinds.ZIP),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), file_kinds.DOC),
    "an msi": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, file_kinds.OLE),
    "rtf": (b"{\\rtf1\\ansi Hello}", file_kinds.RTF),
    "wav": (wav(), file_kinds.WAV),
    "mp3 with tags": (b"ID3\x03\0\0", file_kinds.MP3),
    "mp3": (b"\xff\xfb\x90\x64", file_kinds.MP3),
    "ogg": (b"OggS\0\x02", file_kinds.OGG),
    "m4a": (b"\0\0\0\x20ftypM4A \0\0\0\0", file_kinds.M4A),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\0\0", file_kinds.MP4),
    "mov": (b"\0\0\0\x14ftypqt  \0\0\0\0", file_kinds.MOV),
    "webm": (b"\x1aE\xdf\xa3\x9f", file_kinds.WEBM),
    "avi": (b"RIFF\0\0\0\0AVI LIST", file_kinds.AVI),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_kind_of_a_file_is_detected_from_its_bytes(name: str) -> None:
    data, kind = KNOWN[name]
    assert kind_of(data) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain",
        b"ID3 tags are at the start of a file.",
        b"PAR1 is a magic number.",
        b"RIFF and FORM are containers",
        b"BZh9 and BM and MZ are words here",
        b"OggS",
        b"7z x archive",
        b"The header is %PDF-1.4",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"a,b\n1,2\n",
        codecs.BOM_UTF16_LE + "Hello".encode("utf-16-le"),
    ],
)
def test_text_is_no_other_kind(data: bytes) -> None:
    assert kind_of(data) is None


def test_a_picture_is_one() -> None:
    kind = kind_of(b"\x89PNG\r\n\x1a\n")
    assert kind == FileKind("a picture (PNG)", Medium.IMAGE, "image/png", ".png")


def test_a_directory_of_an_archive_that_leads_round_in_circles_is_left() -> None:
    entry = b"PK\x01\x02" + b"\0" * 24 + struct.pack("<HHH", 0, 0, 0) + b"\0" * 12
    for offset in (0, 4, 2**32 - 1):
        end = b"PK\x05\x06" + b"\0" * 12 + struct.pack("<I", offset) + b"\0\0"
        assert kind_of(b"PK\x03\x04" + entry * 10_000 + end) == file_kinds.ZIP


@given(st.binary(max_size=200), st.sampled_from([data[:40] for data, _ in KNOWN.values()]))
def test_no_bytes_fail(rest: bytes, start: bytes) -> None:
    kind_of(start + rest)
    kind_of(rest)


def test_a_table_is_told_by_its_name_alone() -> None:
    assert [table_kind(name) for name in ("a.CSV", "b.tsv", "c.txt")] == [file_kinds.CSV, file_kinds.TSV, None]
