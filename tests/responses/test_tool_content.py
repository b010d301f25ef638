"""What callers hand back as the output of a call."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.agent_request import to_agent
from databricks_responses_mcp.responses.answers import answer_items
from databricks_responses_mcp.responses.chat_request import to_chat
from databricks_responses_mcp.responses.open_request import to_open
from databricks_responses_mcp.responses.tool_content import output_content

URL = "data:image/png;base64,iVBORw0KGgo="
PICTURE = {"type": "input_image", "image_url": URL, "detail": "auto"}
IMAGE = {"type": "image", "data": "iVBORw0K\nGgo=", "mimeType": "image/png"}


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("plain", "plain"),
        (IMAGE, [PICTURE]),
        ([IMAGE], [PICTURE]),
        ([{"type": "text", "text": "A fox:"}, IMAGE], [text("A fox:"), PICTURE]),
        ({"type": "text", "text": "hi"}, [text("hi")]),
        (["A fox:", IMAGE], [text("A fox:"), PICTURE]),
        ([{"type": "image", "data": URL}], [PICTURE]),
        (
            [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}],
            [PICTURE],
        ),
        ([{"type": "image_url", "image_url": {"url": URL, "detail": "low"}}], [{**PICTURE, "detail": "low"}]),
        ([{"type": "image_url", "image_url": "https://a/b.png"}], [{**PICTURE, "image_url": "https://a/b.png"}]),
        ([{"type": "input_image", "image_url": {"url": URL}}], [PICTURE]),
        ([PICTURE, text("own")], [PICTURE, text("own")]),
        (
            [{"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"}],
            [text("[audio, audio/wav: not sent, because the API accepts no audio here]")],
        ),
        ([{"type": "resource", "resource": {"uri": "file:///a.txt", "text": "A"}}], [text("file:///a.txt:\nA")]),
        ([{"type": "resource", "resource": {"uri": "x", "mimeType": "image/png", "blob": "iVBORw0KGgo="}}], [PICTURE]),
        (
            [
                {
                    "type": "resource",
                    "resource": {"uri": "file:///d/a.pdf", "mimeType": "application/pdf", "blob": "JVBE"},
                }
            ],
            [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}],
        ),
        (
            [{"type": "resource", "resource": {"uri": "x:y", "blob": "AAAA"}}],
            [text("[resource x:y, application/octet-stream: not sent, because the API accepts no such files]")],
        ),
        (
            [{"type": "resource_link", "uri": "file:///a", "name": "a", "title": "a", "mimeType": "text/plain"}],
            [text("[resource file:///a: a, text/plain]")],
        ),
        (
            [{"type": "file", "file": {"filename": "a", "file_data": "data:,"}}],
            [{"type": "input_file", "file_data": "data:,", "filename": "a"}],
        ),
        ({"content": [{"type": "text", "text": "ok"}], "structuredContent": {"a": 1}, "isError": False}, [text("ok")]),
        ({"content": [], "structuredContent": {"a": 1}}, [text('{"a": 1}')]),
        ({"content": [{"type": "text", "text": "no"}], "isError": True}, [text("The tool failed:"), text("no")]),
        ({"content": []}, [text("(no output)")]),
        ('[{"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}]', [PICTURE]),
    ],
)
def test_content_becomes_the_apis_content_parts(given: Any, sent: Any) -> None:
    assert output_content(given) == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"content": "x", "rows": 2}, '{"content": "x", "rows": 2}'),
        ([{"type": "image", "id": 5}], '[{"type": "image", "id": 5}]'),
        ([1, 2], "[1, 2]"),
        (["a", "b"], '["a", "b"]'),
        ([], "[]"),
        ({"type": ["image"]}, '{"type": ["image"]}'),
        ([{"type": "resource", "resource": 3}], '[{"type": "resource", "resource": 3}]'),
        ('{"data": [1]}', '{"data": [1]}'),
        ('{"type": "text", "text": "\\"data\\""}', '{"type": "text", "text": "\\"data\\""}'),
        ('[{"data": ' + "[" * 100_000, '[{"data": ' + "[" * 100_000),
        (None, ""),
    ],
)
def test_data_goes_as_it_is(given: Any, sent: str) -> None:
    assert output_content(given) == sent


def test_every_surface_gets_the_picture_as_a_picture() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    given = {"call_id": "c", "output": [{"type": "text", "text": "A fox:"}, IMAGE]}
    body = {"model": "m", "input": [call, *answer_items([call], [given])]}
    chat, _ = to_chat(body)
    assert chat["messages"][1:] == [
        {"role": "tool", "tool_call_id": "c", "content": "A fox:"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What the call c of f gave:"},
                {"type": "image_url", "image_url": {"url": URL}},
            ],
        },
    ]
    for surface in (to_open, to_agent):
        assert surface(body)[0]["input"][1]["output"] == [text("A fox:"), PICTURE]


def test_an_agent_gets_text_as_text() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    said = answer_items([call], [{"call_id": "c", "output": [{"type": "text", "text": "A"}, "B"]}])
    assert to_agent({"model": "m", "input": [call, *said]})[0]["input"][1]["output"] == "A\n\nB"


def test_a_command_and_a_patch_are_answered_in_text() -> None:
    calls = [
        {"type": "shell_call", "call_id": "s", "action": {}},
        {"type": "apply_patch_call", "call_id": "p", "operation": {}},
    ]
    result = {"content": [{"type": "text", "text": "ok"}, IMAGE]}
    outputs = [
        {"call_id": "s", "stdout": result, "stderr": None, "exit_code": 0},
        {"call_id": "p", "status": "completed", "output": result},
    ]
    shell, patch = answer_items(calls, outputs)
    assert (shell["output"][0]["stdout"], patch["output"]) == ("ok\n\n[input_image]", "ok\n\n[input_image]")
