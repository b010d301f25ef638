"""Bodies made to break it: each is answered or refused, none is an error of the server."""

import base64
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

pytestmark = pytest.mark.anyio

USER = {"type": "message", "role": "user", "content": "Hi"}


def picture(width: int, height: int, cut: int | None = None) -> str:
    """A black PNG as a data URL, cut short if asked."""
    out = BytesIO()
    Image.new("1", (width, height)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()[:cut]).decode()


def asked_with(url: str) -> list[dict[str, Any]]:
    """A question with a picture."""
    return [{**USER, "content": [{"type": "input_image", "image_url": url}]}]


DRAW = [{"type": "image_generation", "size": "16x16"}]
DOCS = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp"}
FUNCTION = {"type": "function", "name": "f"}

REFUSED: list[dict[str, Any]] = [
    {"tools": [{**FUNCTION, "parameters": {"properties": [1, 2]}}]},
    {"tools": [{**FUNCTION, "parameters": {"type": "nonsense"}}]},
    {"tools": [{**FUNCTION, "parameters": {"required": "all"}}]},
    {"text": {"format": {"type": "json_schema", "name": "s", "schema": {"enum": "x"}}}},
    {"tools": [{**DOCS, "require_approval": {"always": "x"}}]},
    {"tools": [{**DOCS, "allowed_tools": {"tool_names": "x"}}]},
    {"tools": [{"type": ["function"]}]},
    {"tools": ["function"]},
    {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": ["f"]}},
    {"tools": [FUNCTION], "tool_choice": {}},
    {"tools": [FUNCTION], "tool_choice": []},
    {"input": [None]},
    {"input": [{}]},
    {"input": [{**USER, "type": ["message"]}]},
    {"input": [{**USER, "content": [None]}]},
    {"input": [{**USER, "content": {"text": "Hi"}}]},
    {"input": asked_with(picture(9000, 9000)), "tools": DRAW},
    {"input": asked_with("data:image/png;base64"), "tools": DRAW},
    {"input": asked_with("file:///etc/passwd"), "tools": DRAW},
    {"input": [{"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="}, USER]},
    {"include": "reasoning.encrypted_content"},
    {"metadata": {"a": 1}},
    {"metadata": {"a": "x" * 513}},
    {"model": ["databricks-gpt-5"]},
    {"model": ""},
    {"max_output_tokens": True},
    {"max_output_tokens": 10**400},
    {"stream": "yes"},
    {"temperature": "hot"},
    {"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "("}}]},
    {"tools": [{**FUNCTION, "parameters": {"$ref": "#"}}]},
]
ANSWERED: list[dict[str, Any]] = [
    {"tools": [{**FUNCTION, "parameters": {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}}]},
    {"input": "\x00\x1b[31m\u202e\ufeff🦊" + "é" * 1000},
    {"input": ""},
    {"input": "[[words 1000000000000]]", "max_output_tokens": 16},
    {"input": "[[words ²]]"},
    {"input": "[[say ]]"},
    {"input": "x" * 200_000},
    {"input": [USER] * 2000},
    {"input": [{**USER, "content": []}]},
    {"input": [{**USER, "role": "system", "content": "only that"}]},
    {"instructions": "", "tools": [], "metadata": {}, "include": []},
    {"tools": DRAW, "input": "{curly} %s %d \\ \u2028"},
    {"tools": [{"type": "custom", "name": "python"}], "input": '""" {prompt!r} \\'},
]


def label(body: dict[str, Any]) -> str:
    """A short name for a body."""
    return ascii(body)[:60]


@pytest.mark.parametrize("change", REFUSED, ids=label)
async def test_it_is_refused(post: Any, change: dict[str, Any]) -> None:
    response = await post(**change)
    assert (response.status_code, set(response.json())) == (400, {"error_code", "message"})


@pytest.mark.parametrize("change", ANSWERED, ids=label)
async def test_it_is_answered(post: Any, change: dict[str, Any]) -> None:
    assert (await post(**change)).json()["status"] in ("completed", "incomplete")


async def test_half_a_surrogate_is_refused_and_a_whole_pair_is_not(http: httpx.AsyncClient) -> None:
    answers = [
        await http.post("/serving-endpoints/responses", content=b'{"model":"databricks-gpt-5","input":"%s"}' % text)
        for text in (rb"\ud83e", rb"\ud83e\udd8a")
    ]
    assert [answer.status_code for answer in answers] == [400, 200]


async def test_a_picture_cut_short_fails_the_response_and_not_the_server(post: Any) -> None:
    out = BytesIO()
    Image.effect_noise((64, 64), 50).save(out, "PNG")
    url = "data:image/png;base64," + base64.b64encode(out.getvalue()[:1500]).decode()
    response = (await post(input=asked_with(url), tools=DRAW)).json()
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
