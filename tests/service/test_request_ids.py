"""The id of a request: a plain one is kept, any other is replaced, and the answer names it."""

import re

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from databricks_responses_mcp.service.request_ids import RequestIds

pytestmark = pytest.mark.anyio


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    await PlainTextResponse(request.state.request_id, headers={"X-Request-Id": "wrong"})(scope, receive, send)


@pytest.mark.parametrize("given", ["a-1", "550e8400-e29b-41d4-a716-446655440000", "x" * 128])
async def test_a_plain_id_is_kept(given: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(RequestIds(telling)), base_url="http://x") as client:
        answer = await client.get("/", headers={"X-Request-Id": given})
    assert (answer.text, answer.headers.get_list("X-Request-Id")) == (given, [given])


@pytest.mark.parametrize("given", [[], ["x" * 129], ["a b"], ["a\tb"], ["é"], ["a", "b"], [""]])
async def test_any_other_id_is_replaced_by_a_new_one(given: list[str]) -> None:
    headers = [("X-Request-Id", value.encode("latin-1")) for value in given]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(RequestIds(telling)), base_url="http://x") as client:
        answer = await client.get("/", headers=[(name.encode(), value) for name, value in headers])
    assert re.fullmatch("[0-9a-f]{32}", answer.text)
    assert answer.headers.get_list("X-Request-Id") == [answer.text]
