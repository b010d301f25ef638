"""Faults: each happens as asked, once or as often as asked, by header, by queue and by setting."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.error_bodies import ERROR_BODIES
from databricks_workspace_emulator.faults import Fault, Faults, parse
from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness.deadlines import DEADLINE_SECONDS
from oracle import openai_spec

pytestmark = pytest.mark.anyio

Events = Callable[[httpx.Response], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("fault", "status", "headers", "body"),
    [
        ("429", 429, {}, {"retry_after": 15, "code": 429, "type": "rate_limit_exceeded"}),
        ("429:2.5", 429, {}, {"retry_after": 2.5}),
        ("429:header=7", 429, {"retry-after": "7"}, {"code": 429}),
        ("503:header=1", 503, {"retry-after": "1"}, {"error_code": "TEMPORARILY_UNAVAILABLE"}),
        ("500", 500, {}, {"error_code": "INTERNAL_ERROR"}),
        ("403", 403, {}, {"error_code": "PERMISSION_DENIED"}),
        ('{"kind": "status", "status": 501}', 501, {}, {"error_code": "NOT_IMPLEMENTED"}),
    ],
)
async def test_a_status_is_answered_with_its_documented_body(
    post: Any, fault: str, status: int, headers: dict[str, str], body: dict[str, Any]
) -> None:
    response = await post(fault=fault)
    answered = response.json().get("error", response.json())
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in headers} == headers
    assert {key: answered.get(key) for key in body} == body
    assert ("retry-after" in response.headers) is bool(headers)


async def test_a_rate_limit_may_not_say_when_to_come_back(post: Any) -> None:
    assert "retry_after" not in (await post(fault="429:none")).json()["error"]


async def test_the_queue_and_the_setting_fail_the_next_requests_and_then_no_more() -> None:
    async with run_emulator(faults=Faults("429x2", "500"), token="dapi-known") as emulator:
        emulator.state.faults.add(Fault("html", status=502))
        async with httpx.AsyncClient(
            verify=False,
            timeout=DEADLINE_SECONDS,
            base_url=emulator.host,
            headers={"authorization": "Bearer dapi-known"},
        ) as client:
            body = {"model": "databricks-gpt-5", "input": "Hi"}
            statuses = [(await client.post("/serving-endpoints/responses", json=body)).status_code for _ in range(5)]
            assert (await client.get("/api/2.0/serving-endpoints")).status_code == 200
    assert statuses == [429, 429, 500, 502, 200]


async def test_a_header_with_several_entries_is_counted_and_one_with_one_entry_always_holds(post: Any) -> None:
    counted = [(await post(fault="503x2")).status_code for _ in range(3)]
    always = [(await post(fault="503")).status_code for _ in range(3)]
    assert (counted, always) == ([503, 503, 200], [503, 503, 503])


async def test_a_login_page_and_an_html_error_come_as_such(post: Any) -> None:
    login, page = await post(fault="login"), await post(fault="html:502")
    assert (login.status_code, login.headers["location"]) == snapshot(
        (303, "/login.html?next_url=%2Fserving-endpoints%2Fresponses")
    )
    assert (page.status_code, page.headers["content-type"]) == snapshot((502, "text/html; charset=utf-8"))
    assert page.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("shape", ERROR_BODIES)
async def test_every_error_body_that_was_seen_can_be_asked_for(post: Any, shape: str) -> None:
    response = await post(fault=f"body:{shape}:418")
    assert (response.status_code, response.text) == (418, ERROR_BODIES[shape](418)[1])


@pytest.mark.parametrize(
    ("shape", "status", "says"),
    [
        ("legacy_name", 501, "'databricks-gpt-5' is no longer available. Use Unity Catalog model services (v3)."),
        ("gateway_off", 501, "AI Gateway is not available in this workspace."),
        ("permission", 403, "No CAN_QUERY on this endpoint."),
        ("invalid_token", 400, "Invalid Token"),
        ("output_guardrail", 400, '"hate": true'),
        ("too_large", 400, "Limit(bytes): 33554432"),
        ("wrong_provider", 400, "is not supported for provider Amazon Bedrock"),
    ],
)
async def test_an_error_comes_with_the_status_that_it_has(post: Any, shape: str, status: int, says: str) -> None:
    response = await post(fault=f"body:{shape}")
    assert response.status_code == status
    assert says in response.json()["message"]


@pytest.mark.parametrize("fault", ["drop", "cut:0", "cut:3", "close"])
async def test_a_cut_connection_ends_without_the_end_of_the_answer(post: Any, fault: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await post(fault=fault, stream=True)


async def names(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    """The names of the first ``count`` events."""
    while count:
        line = await anext(lines)
        if line.startswith("event: "):
            count -= 1
            yield line.removeprefix("event: ")


async def test_a_cut_stream_has_sent_the_events_before_it(http: httpx.AsyncClient) -> None:
    body = {"model": "databricks-gpt-5", "input": "Hi", "stream": True}
    headers = {"x-emulator-fault": "cut:4"}
    async with http.stream("POST", "/serving-endpoints/responses", json=body, headers=headers) as response:
        lines = response.aiter_lines()
        seen = [line async for line in names(lines, 4)]
        with pytest.raises(httpx.RemoteProtocolError):
            [line async for line in lines]
    assert seen == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        ("no_terminal", "response.output_item.done"),
        ("failed:3", "response.failed"),
        ("error_event:3", "error"),
    ],
)
async def test_a_stream_can_end_in_each_wrong_way(post: Any, events: Events, fault: str, last: str) -> None:
    seen = events(await post(fault=fault, stream=True))
    for event in seen:
        openai_spec.validate_event(event)
    assert seen[-1]["type"] == last


async def test_an_error_chunk_has_no_type(post: Any, events: Events) -> None:
    assert events(await post(fault="error_chunk:2", stream=True))[2] == {
        "error": "The embedded workspace was told to fail."
    }


async def test_a_malformed_event_does_not_end_the_stream(post: Any) -> None:
    data = [line[6:] for line in (await post(fault="malformed:3", stream=True)).text.split("\n") if line[:5] == "data:"]
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(data[3])
    assert json.loads(data[-1])["type"] == "response.completed"


async def test_unknown_events_and_items_come_among_the_known(post: Any, events: Events) -> None:
    seen = events(await post(fault="unknown", stream=True))
    assert {"response.hologram.delta", "response.completed"} < {event.get("type") for event in seen}


async def test_slow_bytes_are_the_same_bytes_in_small_chunks(http: httpx.AsyncClient) -> None:
    body = {"model": "databricks-gpt-5", "input": "[[say Grüße 🦊]]", "stream": True}
    async with http.stream(
        "POST", "/serving-endpoints/responses", json=body, headers={"x-emulator-fault": "slow:1"}
    ) as response:
        content = (await response.aread()).decode()
    assert '"text":"Grüße 🦊"' in content


async def test_faults_add_up_in_one_request(post: Any) -> None:
    assert (await post(fault="delay:0+503")).status_code == 503


async def test_garbage_is_no_event_stream(post: Any) -> None:
    assert b"data:" not in (await post(fault="garbage", stream=True)).content


NO_FAULTS = ("nonsense", "delay", "delay:soon", "cut:x", '{"kind": "no"}', '{"what": 1}', "[1]", "{", "body:none")


@pytest.mark.parametrize("text", NO_FAULTS)
async def test_a_fault_that_is_none_is_refused(post: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)
    assert (await post(fault=text)).status_code == 400


async def test_the_well_behaved_request_after_a_fault_is_answered(post: Any, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("drop,cut:1,close")
    for _ in range(3):
        with pytest.raises(httpx.RemoteProtocolError):
            await post(stream=True)
    assert (await post(stream=True)).status_code == 200
