"""Files for a model: text goes into the prompt, documents, recordings and videos are sent as they are."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.input_files import Attachment, FileLimits, read_file, read_files
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.staging import Staging
from databricks_responses_mcp.media.text_files import TextFile
from databricks_responses_mcp.media.write_journal import WriteJournal
from harness.documents import archive, office, pdf, wav

pytestmark = pytest.mark.anyio
LIMITS = FileLimits(text=1000, attachment=5000)


async def test_a_small_pdf_of_ascii_bytes_is_a_document(tmp_path: Path) -> None:
    data = pdf("Hello")
    assert data.isascii()
    assert b"\0" not in data
    (tmp_path / "report.txt").write_bytes(data)
    file = await read_file("report.txt", LIMITS, base=tmp_path)
    assert isinstance(file, Attachment)
    assert (file.name, file.medium, file.mime_type, file.bytes) == (
        "report.txt.pdf",
        "document",
        "application/pdf",
        len(data),
    )
    assert file.url == f"data:application/pdf;base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("name", "data", "medium"),
    [
        ("a.docx", office("docx"), "document"),
        ("a.xlsx", office("xlsx"), "document"),
        ("a.pptx", office("pptx"), "document"),
        ("a.wav", wav(), "audio"),
        ("a.mp4", b"\0\0\0\x20ftypisom\0\0\0\0", "video"),
    ],
)
async def test_documents_recordings_and_videos_are_sent_as_they_are(
    tmp_path: Path, name: str, data: bytes, medium: str
) -> None:
    (tmp_path / name).write_bytes(data)
    file = await read_file(name, LIMITS, base=tmp_path)
    assert isinstance(file, Attachment)
    assert (file.name, file.medium, file.bytes) == (name, medium, len(data))


async def test_a_table_is_text_unless_it_is_too_large_for_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "small.csv").write_text("a,b\n1,2\n")
    (tmp_path / "large.csv").write_text("a,b\n" * 500)
    (tmp_path / "large.txt").write_text("a,b\n" * 500)
    (tmp_path / "binary.csv").write_bytes(b"\0" * 2000)
    small = await read_file("small.csv", LIMITS, base=tmp_path)
    large = await read_file("large.csv", LIMITS, base=tmp_path)
    lines = await read_file("large.csv:2-3", LIMITS, base=tmp_path)
    assert isinstance(small, TextFile)
    assert isinstance(large, Attachment)
    assert (large.name, large.mime_type, large.bytes) == ("large.csv", "text/csv", 2000)
    assert isinstance(lines, TextFile)
    for name, code in (("large.txt", ErrorCode.TOO_LARGE), ("binary.csv", ErrorCode.INVALID_ARGUMENT)):
        with pytest.raises(BridgeError) as caught:
            await read_file(name, LIMITS, base=tmp_path)
        assert caught.value.code is code


async def test_a_data_url_is_what_its_bytes_are_whatever_it_declares(tmp_path: Path) -> None:
    url = "data:text/plain;base64," + base64.b64encode(pdf("Hello")).decode()
    text = "data:application/pdf;base64," + base64.b64encode(b"Hello").decode()
    document, words = await read_files([url, text], LIMITS, base=tmp_path)
    assert isinstance(document, Attachment)
    assert document.name == "file.pdf"
    assert words == TextFile("file", "Hello", None, None, 1, "utf-8")


async def test_the_address_of_a_video_page_is_passed_on() -> None:
    file = await read_file("https://www.youtube.com/watch?v=abc", LIMITS)
    assert file == Attachment("video", "video", "video/mp4", "https://www.youtube.com/watch?v=abc", 0)


@pytest.mark.parametrize("url", ["http://example.com/a.pdf", "https://127.0.0.1/a.pdf", "https://[::1]/a"])
async def test_a_file_on_the_private_network_is_not_fetched(url: str) -> None:
    with pytest.raises(BridgeError) as caught:
        await read_file(url, LIMITS)
    assert caught.value.code in (ErrorCode.INVALID_ARGUMENT, ErrorCode.PERMISSION_DENIED)


async def test_a_file_of_the_web_is_fetched_and_looked_at(web_server: Callable[[bool], Any]) -> None:
    server = web_server(False)
    server.answers = {"/a": (200, {}, pdf("Hello")), "/b.txt": (200, {}, b"text"), "/c.pdf": (200, {}, b"x" * 9000)}
    url = server.url
    document = await read_file(f"{url}/a", LIMITS, allow_private=True)
    text = await read_file(f"{url}/b.txt", LIMITS, allow_private=True)
    # Too large to be sent along: its address is.
    remote = await read_file(f"{url}/c.pdf", LIMITS, allow_private=True)
    assert isinstance(document, Attachment)
    assert document.name == "a.pdf"
    assert isinstance(text, TextFile)
    assert (text.name, text.text) == ("b.txt", "text")
    assert remote == Attachment("c.pdf", "document", "application/pdf", f"{url}/c.pdf", 0)


async def test_what_models_do_not_take_is_refused_with_what_to_do(
    tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    files = {"a.zip": archive(a=b"x"), "b.png": picture("PNG"), "c.pdf": pdf("x" * 6000), "d.docx": office("docx")}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    told = {}
    for reference in ("a.zip", "b.png", "c.pdf", "d.docx:1-3"):
        with pytest.raises(BridgeError) as caught:
            await read_file(reference, LIMITS, base=tmp_path)
        told[reference] = [caught.value.code.value, caught.value.message, caught.value.hint]
    assert told == snapshot(
        {
            "a.zip": [
                "invalid_argument",
                "“a.zip” is a ZIP archive, not text or a document.",
                "Unpack it, or save what it contains as text or PDF, and give that.",
            ],
            "b.png": [
                "invalid_argument",
                "“b.png” is a picture (PNG), not text or a document.",
                "Give it in `images` instead of `files`.",
            ],
            "c.pdf": [
                "too_large",
                "“c.pdf” has 6.5 kB; 5.0 kB of a file can be sent.",
                "Send the part of it that matters; RESPONSES_MCP_MAX_DOCUMENT_BYTES is the limit.",
            ],
            "d.docx:1-3": [
                "invalid_argument",
                "“d.docx” is a Word document, so no lines can be taken from it.",
                "Name it without lines.",
            ],
        }
    )


async def test_documents_too_large_together_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.pdf").write_bytes(pdf(f"page {number}"))
    names = [f"{number}.pdf" for number in range(3)]
    size = len(pdf("page 0"))
    assert len(await read_files(names, LIMITS, max_attachment_bytes=3 * size, base=tmp_path)) == 3
    with pytest.raises(BridgeError) as caught:
        await read_files(names, LIMITS, max_attachment_bytes=3 * size - 1, base=tmp_path)
    assert (caught.value.code, caught.value.hint) == (
        ErrorCode.TOO_LARGE,
        "Send fewer documents, or only the pages that matter.",
    )


async def test_a_document_is_read_only_from_allowed_directories_and_never_a_secret_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.pdf").write_bytes(pdf("Hello"))
    (tmp_path / "in" / "link.pdf").symlink_to(tmp_path / "out.pdf")
    (tmp_path / "in" / ".env").write_bytes(pdf("Hello"))
    allowed = AllowedPaths([tmp_path / "in"])
    for reference in ("link.pdf", "../out.pdf", ".env"):
        with pytest.raises(BridgeError) as caught:
            await read_file(reference, LIMITS, base=tmp_path / "in", allowed=allowed)
        assert caught.value.code is ErrorCode.PERMISSION_DENIED


async def test_a_pdf_is_not_edited_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Hello"))
    with pytest.raises(BridgeError, match="is a PDF, not a text file"):
        await Staging.read(
            [str(tmp_path / "a.pdf")],
            allowed=AllowedPaths([tmp_path]),
            max_bytes=9000,
            max_total_bytes=9000,
            journal=WriteJournal(tmp_path / "journal"),
        )
