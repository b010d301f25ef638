"""Documents, recordings and videos in `files`, as a host's model gives them, down to what a model is sent."""

import base64
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.documents import pdf_text
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect
from harness.documents import office, pdf, wav

pytestmark = pytest.mark.anyio
ASK = "ask_databricks_model"
CLAUDE = "databricks-claude-sonnet-4-5"
LLAMA = "databricks-meta-llama-3-3-70b-instruct"
GEMINI = "databricks-gemini-3-1-pro"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents, in which the server may read."""
    folder = tmp_path / "project"
    folder.mkdir()
    files = {
        "report.pdf": pdf("Sales grew by 12 percent", "Costs fell"),
        "plan.docx": office("docx"),
        "talk.wav": wav(),
        "clip.mp4": b"\0\0\0\x20ftypisom\0\0\0\0",
        "notes.txt": b"Buy milk\n",
        "scan.pdf": pdf(""),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    monkeypatch.chdir(folder)
    return folder


def asked(emulator: RunningEmulator) -> list[tuple[str, Any]]:
    """Path and body of the requests to models."""
    return [(e.path, e.body) for e in emulator.state.request_log.exchanges if e.method == "POST"]


def shape(part: dict[str, Any]) -> Any:
    """A part of a message without the data in it."""
    if isinstance(part, str):
        return part
    return {
        key: shape(value) if isinstance(value, dict) else str(value)[:60].partition(";base64,")[0]
        for key, value in part.items()
    }


async def test_a_pdf_and_an_office_document_go_beside_text_that_goes_into_the_prompt(
    connect: Connect, emulator: RunningEmulator, project: Path
) -> None:
    files = ["report.pdf", "notes.txt", "plan.docx"]
    async with connect(allowed_dirs=(project,)) as host:
        _, facts, failed = await host.call(ASK, prompt="Sum up.", files=files)
        await host.call(ASK, prompt="And now?", conversation_id=facts["conversation_id"])
    assert not failed
    (_, first), (_, second) = asked(emulator)
    assert [shape(part) for part in first["input"][0]["content"]] == snapshot(
        [
            {
                "type": "input_text",
                "text": """\
Sum up.

File: notes.txt (1 line)
```
Buy milk
```\
""",
            },
            {"type": "input_file", "filename": "report.pdf", "file_data": "data:application/pdf"},
            {
                "type": "input_file",
                "filename": "plan.docx",
                "file_data": "data:application/vnd.openxmlformats-officedocument.wordproce",
            },
        ]
    )
    sent = first["input"][0]["content"][1]["file_data"].partition(",")[2]
    assert base64.b64decode(sent) == (project / "report.pdf").read_bytes()
    # The model has the documents in the next turn, too.
    assert second["input"][0] == first["input"][0]


async def test_a_pdf_goes_to_a_claude_as_a_document(connect: Connect, emulator: RunningEmulator, project: Path) -> None:
    async with connect(allowed_dirs=(project,)) as host:
        for surface in (None, "chat"):
            given = {} if surface is None else {"surface": surface}
            _, facts, failed = await host.call(ASK, prompt="Sum up.", files=["report.pdf"], model=CLAUDE, **given)
            assert (failed, facts.get("notes")) == (False, None)
    (_, opened), (_, chat) = asked(emulator)
    assert shape(opened["input"][0]["content"][1]) == snapshot(
        {"type": "input_file", "filename": "report.pdf", "file_data": "data:application/pdf"}
    )
    assert shape(chat["messages"][0]["content"][1]) == snapshot(
        {"type": "file", "file": {"file_data": "data:application/pdf", "filename": "report.pdf"}}
    )


async def test_a_model_that_takes_no_documents_is_given_the_text_of_a_pdf_and_the_result_says_so(
    connect: Connect, emulator: RunningEmulator, project: Path
) -> None:
    async with connect(allowed_dirs=(project,)) as host:
        _, facts, failed = await host.call(ASK, prompt="[[say ok]]", files=["report.pdf"], model=LLAMA)
        _, again, _ = await host.call(ASK, prompt="[[say more]]", conversation_id=facts["conversation_id"])
    assert not failed
    assert (facts["text"], again["text"]) == ("ok", "more")
    note = facts["notes"][0]
    assert note == snapshot(
        "The model does not accept documents: it received the text of report.pdf (2 pages, extracted from the PDF), "
        "without layout and images."
    )
    assert again["notes"] == [note]
    # Refused once, then answered; the next turn has the text at once.
    *_, (_, answered), (_, following) = asked(emulator)
    assert answered["input"][0]["content"][1]["text"] == snapshot("""\
File: report.pdf (2 pages, extracted from the PDF)
```
[page 1]
Sales grew by 12 percent

[page 2]
Costs fell
```\
""")
    assert following["input"][0] == answered["input"][0]
    assert len(asked(emulator)) == 3


@pytest.mark.parametrize("files", [["plan.docx"], ["scan.pdf"], ["report.pdf", "plan.docx"]])
async def test_a_document_whose_text_cannot_be_had_is_refused_with_advice(
    connect: Connect, project: Path, files: list[str]
) -> None:
    async with connect(allowed_dirs=(project,)) as host:
        _, facts, failed = await host.call(ASK, prompt="Sum up.", files=files, model=LLAMA)
    assert failed
    assert facts["error"]["code"] == "unsupported_by_model"
    assert {
        "plan.docx": "plan.docx cannot be converted to text: only text of PDFs can be read; save it as PDF or text.",
        "scan.pdf": "scan.pdf cannot be converted to text: it contains no text, only pictures of pages.",
        "report.pdf": "plan.docx cannot be converted to text: only text of PDFs can be read; save it as PDF or text.",
    }[files[0]] in facts["error"]["hint"]


async def test_without_the_library_the_advice_names_it(
    connect: Connect, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databricks_responses_mcp.turns.document_text.can_read_pdfs", lambda: False)
    assert pdf_text.can_read_pdfs()
    async with connect(allowed_dirs=(project,)) as host:
        _, facts, failed = await host.call(ASK, prompt="Sum up.", files=["report.pdf"], model=LLAMA)
    assert failed
    assert "databricks-responses-mcp[pdf]" in facts["error"]["hint"]


async def test_a_gemini_hears_and_watches_over_chat_also_after_it_was_asked_elsewhere(
    connect: Connect, emulator: RunningEmulator, project: Path
) -> None:
    async with connect(allowed_dirs=(project,)) as host:
        await host.call(ASK, prompt="[[say hello]]", model=GEMINI)
        files = ["talk.wav", "clip.mp4", "https://youtu.be/abc"]
        _, facts, failed = await host.call(ASK, prompt="What is it?", files=files, model=GEMINI)
        await host.call(ASK, prompt="[[say bye]]", model=GEMINI)
    assert (failed, facts["surface"]) == (False, "chat")
    assert [path for path, _ in asked(emulator)] == [
        "/serving-endpoints/open-responses",
        "/serving-endpoints/chat/completions",
        "/serving-endpoints/open-responses",
    ]
    content = asked(emulator)[1][1]["messages"][0]["content"]
    assert [shape(part) for part in content] == snapshot(
        [
            {"type": "text", "text": "What is it?"},
            {"type": "audio_url", "audio_url": {"url": "data:audio/wav"}},
            {"type": "video_url", "video_url": {"url": "data:video/mp4"}},
            {"type": "video_url", "video_url": {"url": "https://youtu.be/abc"}},
        ]
    )


async def test_a_model_that_hears_nothing_refuses_a_recording_with_advice(connect: Connect, project: Path) -> None:
    async with connect(allowed_dirs=(project,)) as host:
        _, facts, failed = await host.call(ASK, prompt="What is it?", files=["talk.wav"], model=CLAUDE)
    assert failed
    assert facts["error"]["code"] == "unsupported_by_model"
    assert "Gemini" in facts["error"]["hint"]


async def test_the_limit_of_a_document_is_checked_before_anything_is_sent(
    connect: Connect, emulator: RunningEmulator, project: Path
) -> None:
    async with connect(allowed_dirs=(project,), max_document_bytes=100) as host:
        _, facts, failed = await host.call(ASK, prompt="Sum up.", files=["report.pdf"])
    assert (failed, facts["error"]["code"]) == (True, "too_large")
    assert asked(emulator) == []
