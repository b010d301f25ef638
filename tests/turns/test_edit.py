"""The loop of an edit: what is sent, how failures go back, where it ends, and what is kept when it does not."""

import json
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.edit import MAX_STEPS, Edit, Edited, edit, shown_files
from databricks_responses_mcp.turns.progress import Reporter
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import RawServer, answer, raw_server

pytestmark = pytest.mark.anyio

FILES = {"a.txt": "one\ntwo\n"}
LISTING = answer(b'{"endpoints": []}', "application/json")
USAGE = {"input_tokens": 10, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}}


async def anything(name: str, text: str | None) -> None:
    """Admits every operation."""


def response(*items: dict[str, Any], status: str = "completed", **fields: Any) -> bytes:
    body = {"status": status, "output": list(items), "usage": USAGE, **fields}
    return answer(
        f"data: {json.dumps({'type': f'response.{status}', 'response': body})}\n\n".encode(), "text/event-stream"
    )


def call(number: int, kind: str, path: str, diff: str = "") -> dict[str, Any]:
    operation = {"type": kind, "path": path, "diff": diff}
    return {"type": "apply_patch_call", "call_id": f"c{number}", "status": "completed", "operation": operation}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


FITS = call(1, "update_file", "a.txt", "@@\n one\n-two\n+TWO\n")
MISFITS = call(2, "update_file", "a.txt", "@@\n three\n+four\n")


async def run(server: RawServer, bridge: Bridge, *answers: bytes, files: dict[str, str] | None = None) -> Edited:
    server.first = [*answers]
    wanted = Edit(instruction="Change it.", files=FILES if files is None else files, root="/r", model="m")
    with anyio.fail_after(DEADLINE_SECONDS):
        return await edit(bridge, wanted, admit=anything)


def sent(server: RawServer) -> list[Any]:
    return [json.loads(request) for request in server.requests if request]


async def test_the_files_go_along_as_they_are_with_the_tool_and_nothing_else() -> None:
    async with raw_server(response(said("Nothing to do."))) as (server, bridge):
        await run(server, bridge)
    body = sent(server)[0]
    assert (body["tools"], "tool_choice" in body, body["input"][0]["content"][0]["text"]) == snapshot(
        (
            [{"type": "apply_patch"}],
            False,
            """\
Change it.

File: a.txt (2 lines)
```
one
two
```""",
        )
    )


def test_how_a_file_ends_is_said_and_carriage_returns_are_not_shown() -> None:
    files = {"a": "\ufeffx\r\ny", "b.md": "```py\n````\n", "c": ""}
    assert shown_files(files) == snapshot("""\
File: a (2 lines, without a newline at the end)
```
x
y
```

File: b.md (2 lines)
`````
```py
````
`````

File: c (empty)\
""")


async def test_a_diff_that_does_not_fit_goes_back_as_failed_with_the_reason_until_one_fits() -> None:
    async with raw_server(response(said("Done: two is TWO."))) as (server, bridge):
        edited = await run(server, bridge, response(said("Let me try."), MISFITS), response(FITS))
    assert edited.after == {"a.txt": "one\nTWO\n"}
    assert edited.is_whole
    outputs = [item for item in sent(server)[-1]["input"] if item["type"] == "apply_patch_call_output"]
    assert [(item["call_id"], item["status"], item["output"][:77]) for item in outputs] == snapshot(
        [
            ("c2", "failed", "Nothing was changed: hunk 1 (line 1 of the diff) does not fit: its context wa"),
            ("c1", "completed", "Done."),
        ]
    )
    facts = edited.structured()
    assert facts.pop("conversation_id").startswith("conv_")
    assert facts["operations"][0].pop("error") in outputs[0]["output"]
    assert facts == snapshot(
        {
            "text": """\
Let me try.

Done: two is TWO.\
""",
            "status": "completed",
            "model": "m",
            "endpoint": "m",
            "usage": {"input_tokens": 30, "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 3}},
            "diff": """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,2 +1,2 @@
 one
-two
+TWO
""",
            "operations": [
                {"type": "update_file", "path": "a.txt", "status": "failed"},
                {"type": "update_file", "path": "a.txt", "status": "previewed"},
            ],
        }
    )


async def test_several_operations_of_one_turn_each_have_their_answer() -> None:
    async with raw_server(response(said("ok"))) as (server, bridge):
        edited = await run(server, bridge, response(FITS, MISFITS, call(3, "create_file", "b.txt", "+b\n")))
    outputs = [item for item in sent(server)[-1]["input"] if item["type"] == "apply_patch_call_output"]
    assert [(item["call_id"], item["status"]) for item in outputs] == [
        ("c1", "completed"),
        ("c2", "failed"),
        ("c3", "completed"),
    ]
    # The second is of the same file as the first, came after it, and nobody mended it.
    assert [operation.path for operation in edited.unresolved] == ["a.txt"]
    assert not edited.is_whole


async def test_a_model_that_never_calls_has_proposed_no_change() -> None:
    async with raw_server(response(said("It is fine as it is."))) as (server, bridge):
        edited = await run(server, bridge)
    facts = edited.structured()
    assert (facts["text"], facts["diff"], facts["operations"], facts["notes"], edited.changed) == (
        "It is fine as it is.",
        "",
        [],
        ["The model proposed no change."],
        [],
    )


async def test_a_model_that_never_ends_is_stopped_with_what_it_did() -> None:
    async with raw_server(response(call(9, "update_file", "a.txt", "@@\n one\n+more\n"))) as (server, bridge):
        edited = await run(server, bridge)
    assert len(sent(server)) == MAX_STEPS
    facts = edited.structured()
    assert (facts["status"], facts["incomplete_reason"], len(facts["operations"])) == ("incomplete", "max_steps", 8)
    assert facts["diff"].count("+more") == MAX_STEPS
    assert facts["usage"]["input_tokens"] == 10 * MAX_STEPS
    assert "conversation_id" not in facts
    assert not edited.is_whole


async def test_an_answer_that_was_cut_by_its_limit_is_not_whole() -> None:
    cut = response(said("I chan"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    async with raw_server(cut) as (server, bridge):
        edited = await run(server, bridge, response(FITS))
    assert (edited.structured()["status"], edited.is_whole, edited.changed) == ("incomplete", False, ["a.txt"])


@pytest.mark.slow
async def test_the_deadline_keeps_what_was_worked_out_so_far() -> None:
    never = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with raw_server(never) as (server, bridge):
        bridge.settings = bridge.settings.model_copy(update={"timeout_seconds": 1.0})
        with pytest.raises(BridgeError) as caught:
            await run(server, bridge, response(said("First."), FITS))
    error = caught.value
    assert error.code is ErrorCode.TIMEOUT
    assert error.partial == snapshot(
        {
            "text": "First.",
            "diff": """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,2 +1,2 @@
 one
-two
+TWO
""",
            "operations": [{"type": "update_file", "path": "a.txt", "status": "previewed"}],
            "usage": {"input_tokens": 10, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}},
        }
    )


def failing(*items: dict[str, Any], text: str) -> bytes:
    """A response that fails after some text and some output items, with its usage."""
    error = {"code": "server_error", "message": "The model broke."}
    body = {"id": "r2", "status": "failed", "output": list(items), "usage": USAGE, "error": error}
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text},
        {"type": "response.failed", "response": body},
    ]
    return answer("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode(), "text/event-stream")


async def test_a_failure_on_the_way_keeps_texts_changes_and_usage_of_all_turns_and_no_calls() -> None:
    async with raw_server(failing(said("Second, but"), MISFITS, text="Second, but")) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await run(server, bridge, response(said("First."), FITS))
    assert len(sent(server)) == 2
    assert caught.value.partial == snapshot(
        {
            "text": """\
First.

Second, but\
""",
            "status": "failed",
            "model": "m",
            "endpoint": "m",
            "response_id": "r2",
            "usage": {"input_tokens": 20, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 2}},
            "diff": """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,2 +1,2 @@
 one
-two
+TWO
""",
            "operations": [{"type": "update_file", "path": "a.txt", "status": "previewed"}],
        }
    )


async def test_a_first_turn_that_fails_on_the_way_keeps_what_it_said_and_its_usage() -> None:
    async with raw_server(failing(said("I begin"), FITS, text="I begin")) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await run(server, bridge)
    assert caught.value.partial == snapshot(
        {
            "text": "I begin",
            "status": "failed",
            "model": "m",
            "endpoint": "m",
            "response_id": "r2",
            "usage": {"input_tokens": 10, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}},
            "diff": "",
            "operations": [],
        }
    )


async def test_a_failure_of_the_first_turn_has_nothing_to_keep() -> None:
    refused = answer(b'{"error_code": "BAD_REQUEST", "message": "no such tool"}', "application/json")
    async with raw_server(refused.replace(b"200 OK", b"400 Bad Request")) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await run(server, bridge)
    assert (caught.value.code, caught.value.partial) == (ErrorCode.INVALID_ARGUMENT, {})


async def test_cancelling_ends_it_at_once() -> None:
    never = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with raw_server(never) as (server, bridge):
        with anyio.fail_after(DEADLINE_SECONDS), anyio.CancelScope() as scope:
            said_so = []

            async def report(value: float, message: str) -> None:
                said_so.append(message)
                if "applied" in message:
                    scope.cancel()

            server.first = [response(FITS)]
            wanted = Edit(instruction="Change it.", files=FILES, root="/r", model="m")
            await edit(bridge, wanted, CallContext.start(bridge.settings, reporter=Reporter(report)), admit=anything)
    assert said_so[-1] == "1 operation applied, 0 failed; the model continues"
