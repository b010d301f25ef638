"""Whatever fails once an answer has begun, the result has a code, and the text and usage that were paid for."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from databricks_responses_mcp.calls import generated_images, results
from databricks_responses_mcp.server import build_server
from databricks_responses_mcp.turns import (
    conversations,
    outcome,
    patch_session,
    search,
    stream,
    structured_output,
    usage,
)
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.progress import Reporter
from harness import Connect, Host
from harness.raw_server import RawServer, answer, raw_server

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
EDIT = "edit_files"
USAGE = {"input_tokens": 10, "output_tokens": 2}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PICTURE = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": PNG}


def message(text: str, *notes: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": list(notes)}
    return {"type": "message", "role": "assistant", "content": [part]}


def response(*items: dict[str, Any], **fields: Any) -> bytes:
    body = {"status": "completed", "output": list(items), "usage": USAGE, **fields}
    return answer(
        f"data: {json.dumps({'type': 'response.completed', 'response': body})}\n\n".encode(), "text/event-stream"
    )


def patch(number: int = 1, **operation: Any) -> dict[str, Any]:
    return {"type": "apply_patch_call", "call_id": f"c{number}", "status": "completed", "operation": operation}


@asynccontextmanager
async def scripted(directory: Path, *answers: bytes, **settings: Any) -> AsyncIterator[tuple[Host, RawServer]]:
    """A host of a server whose model gives these answers, one after the other."""
    async with raw_server(answers[-1]) as (upstream, bridge):
        upstream.first = [*answers]
        changed = {"allowed_dirs": (directory,), "image_dir": directory / "pictures", "model": "m", "image_model": "m"}
        bridge.settings = bridge.settings.model_copy(update={**changed, **settings})
        async with Client(build_server(lambda: nullcontext(bridge)), mode="2026-07-28") as client:
            yield Host(client), upstream


def defect(*_: Any, **__: Any) -> Any:
    raise RuntimeError("secret detail")


async def failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError("secret detail")


STAGES: dict[str, tuple[Any, str, Any, str, dict[str, Any]]] = {
    "reading the stream": (stream, "_refusal_of", defect, ASK, {"prompt": "Hi"}),
    "telling the listener": (stream.EventStream, "drain", failing, ASK, {"prompt": "Hi"}),
    "reading an answer": (stream, "_failure_of", defect, ASK, {"prompt": "Hi"}),
    "adding a turn": (conversations.Conversation, "add", defect, ASK, {"prompt": "Hi"}),
    "counting usage": (usage, "token_count", defect, ASK, {"prompt": "Hi"}),
    "holding a conversation": (conversations.Conversations, "_hold", defect, ASK, {"prompt": "Hi"}),
    "checking a schema": (
        structured_output,
        "_parse",
        defect,
        ASK,
        {"prompt": "Hi", "output_schema": {"type": "object"}},
    ),
    "making words": (results, "render_text", defect, ASK, {"prompt": "Hi"}),
    "reading citations": (search, "read", defect, "search_web", {"question": "Hi"}),
    "planning an edit": (patch_session.PatchSession, "carry_out", failing, EDIT, {"instruction": "Hi"}),
    "rendering a diff": (patch_session, "unified_diff", defect, EDIT, {"instruction": "Hi"}),
    "keeping a picture": (generated_images.GeneratedImages, "__call__", failing, "generate_image", {"prompt": "Hi"}),
}


@pytest.mark.parametrize("stage", STAGES)
async def test_a_defect_at_any_stage_keeps_text_and_usage(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    where, name, replacement, tool, arguments = STAGES[stage]
    monkeypatch.setattr(where, name, replacement)
    items = [message("Here it is.")]
    if tool == EDIT:
        items.append(patch(type="update_file", path="a.txt", diff="@@\n-one\n+two\n"))
        arguments = {**arguments, "paths": [str(tmp_path / "a.txt")]}
    elif tool == "generate_image":
        items.append(PICTURE)
    async with scripted(tmp_path, response(*items), response(message("Here it is."))) as (host, _):
        content, facts, failed = await host.call(tool, **arguments)
    assert failed
    assert (facts["error"]["code"], facts["status"] != "completed") == ("internal", True)
    assert "Here it is." in facts["text"]
    assert "Here it is." in content[0].text
    assert facts["usage"]["input_tokens"] >= 10
    assert "secret detail" not in str((content, facts))
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("name", ["citations_of", "pending_calls_of", "other_items_of", "refusal_of", "usage_of"])
async def test_a_part_that_cannot_be_read_does_not_affect_the_others(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, name, defect)
    async with scripted(tmp_path, response(message("Here it is."))) as (host, _):
        _, facts, failed = await host.call(ASK, prompt="Hi")
    assert not failed
    assert (facts["text"], facts["status"]) == ("Here it is.", "completed")
    assert "could not be read" in facts["notes"][0]
    assert (facts.get("usage") == USAGE) == (name != "usage_of")


async def test_usage_is_that_of_all_requests_of_a_failed_call(tmp_path: Path) -> None:
    arguments = {"prompt": "Hi", "output_schema": {"type": "object"}}
    async with scripted(tmp_path, response(message("no JSON")), response(message("no JSON either"))) as (host, _):
        _, facts, failed = await host.call(ASK, **arguments)
    assert failed
    assert (facts["error"]["code"], facts["status"]) == ("upstream_error", "failed")
    assert facts["usage"] == {"input_tokens": 20, "output_tokens": 4}


async def test_progress_that_nobody_takes_costs_no_answer(tmp_path: Path) -> None:
    async def refuse(value: float, message: str) -> None:
        raise ConnectionError("gone")

    async with raw_server(response(message("Here it is."))) as (_, bridge):
        got = await ask(
            bridge, AskRequest(prompt="Hi", model="m"), CallContext.start(bridge.settings, reporter=Reporter(refuse))
        )
    assert got.text == "Here it is."


ODD_OPERATIONS: list[dict[str, Any]] = [
    {},
    {"type": "create_file"},
    {"type": "create_file", "diff": "+x"},
    {"type": "create_file", "path": "n" * 300, "diff": "+x"},
    {"type": "create_file", "path": "/".join(["d" * 200] * 30), "diff": "+x"},
    {"type": "create_file", "path": ["a.txt"], "diff": "+x"},
    {"type": ["update_file"], "path": "a.txt", "diff": "@@\n-one\n+two\n"},
    {"type": "update_file", "path": 7, "diff": 8},
    {"type": "update_file", "path": "a.txt", "diff": {"a": ["b"]}},
    {"type": "create_file", "path": "nul\0", "diff": "+x"},
    {"type": None, "path": None, "diff": None},
]


async def test_an_odd_operation_fails_alone_and_the_model_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one\n")
    calls = [patch(number, **operation) for number, operation in enumerate(ODD_OPERATIONS)]
    calls += [{"type": "apply_patch_call", "call_id": f"odd{odd}", "operation": odd} for odd in ([1], "x", None, 5)]
    async with scripted(tmp_path, response(message("Trying."), *calls), response(message("Gave up."))) as (
        host,
        upstream,
    ):
        _, facts, failed = await host.call(EDIT, instruction="Hi", paths=[str(file)], apply=True)
    assert not failed, facts.get("error")
    assert facts["text"] == "Trying.\n\nGave up."
    assert {operation["status"] for operation in facts["operations"]} == {"failed"}
    assert len(facts["operations"]) == len(calls)
    assert file.read_text() == "one\n"
    sent = json.loads(upstream.requests[-1])
    told = [item for item in sent["input"] if item["type"] == "apply_patch_call_output"]
    assert [item["status"] for item in told] == ["failed"] * len(calls)


async def test_a_citation_of_odd_types_is_told_without_them(tmp_path: Path) -> None:
    note = {
        "type": "url_citation",
        "url": "https://a.example",
        "title": ["no", "text"],
        "start_index": 0,
        "end_index": 4,
    }
    odd = {"type": "url_citation", "url": "https://b.example", "title": 7, "start_index": "0", "end_index": None}
    item = message("Here it is.", note, odd, {"url": ["x"]}, 5)
    async with scripted(tmp_path, response(item)) as (host, _):
        _, facts, failed = await host.call("search_web", question="Hi")
    assert not failed, facts.get("error")
    assert facts["citations"] == [
        {"number": 1, "url": "https://a.example", "start": 0, "end": 4, "quote": "Here"},
        {"number": 2, "url": "https://b.example"},
    ]


LONG = "x" * 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (ASK, {"prompt": "Hi", "model": LONG}),
        (ASK, {"prompt": "Hi", "conversation_id": LONG}),
        (ASK, {"prompt": "Hi", "surface": LONG}),
        (ASK, {"prompt": "Hi", "tool_choice": LONG}),
        (ASK, {"prompt": "Hi", "files": [LONG]}),
        (ASK, {"prompt": "Hi", "files": [LONG[:1000]] * 900}),
        (ASK, {"prompt": "Hi", "images": [LONG]}),
        (ASK, {"prompt": "Hi", "mcp_servers": [LONG]}),
        (ASK, {"prompt": "Hi", "tools": [{"type": LONG}]}),
        (ASK, {"prompt": "Hi", "tools": [{"type": "function", "name": LONG}] * 2}),
        (ASK, {"prompt": "Hi", "extra": {"model": LONG, LONG: 1}}),
        (ASK, {"prompt": "Hi", "output_schema": {"$ref": LONG}}),
        (ASK, {"prompt": "Hi", "output_schema": {"type": LONG}}),
        (ASK, {"prompt": "Hi", LONG: 1}),
        (ASK, {"prompt": {"a": LONG}}),
        (LONG, {}),
        ("continue_databricks_model", {"conversation_id": LONG, "outputs": [{"call_id": LONG, "output": "x"}]}),
        ("generate_image", {"prompt": "Hi", "images": [LONG]}),
        ("generate_image", {"prompt": "Hi", "conversation_id": LONG}),
        ("search_web", {"question": "Hi", "conversation_id": LONG}),
        (EDIT, {"instruction": "Hi", "paths": [LONG]}),
        (EDIT, {"instruction": "Hi", "paths": ["x" * 5000]}),
        ("get_response", {"response_id": LONG}),
        ("manage_conversations", {"action": LONG}),
        ("manage_conversations", {"action": "get", "conversation_id": LONG}),
        ("manage_conversations", {"action": "export", "conversation_id": LONG, "format": LONG}),
        ("list_databricks_models", {"model": LONG}),
        ("list_databricks_models", {"capability": LONG}),
    ],
)
async def test_an_error_quotes_no_argument_whole(connect: Connect, tool: str, arguments: dict[str, Any]) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(tool, **arguments)
    assert failed
    assert facts["error"]["code"] != "internal"
    assert len(json.dumps(facts)) < 10_000
    assert sum(len(block.text) for block in content) < 10_000
