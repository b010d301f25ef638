"""Simulating the requested faults: instead of an answer, or in its stream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio

from databricks_workspace_emulator.error_bodies import ERROR_BODIES, HTML, PAGE
from databricks_workspace_emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_workspace_emulator.faults import Fault, first
from databricks_workspace_emulator.sse import encode_event
from databricks_workspace_emulator.writer import Event

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")


async def play_before(incoming: Incoming) -> Reply | None:
    """Simulate faults before an answer; return a reply if one replaces it.

    Raises:
        Aborted: if the connection is to be closed without a response.
    """
    for fault in incoming.faults:
        if fault.kind == "delay":
            await anyio.sleep(fault.seconds)
        elif fault.kind == "drop":
            raise Aborted
        elif (reply := _instead(fault)) is not None:
            return reply
    return None


def _instead(fault: Fault) -> Reply | None:
    match fault.kind:
        case "status":
            return _status(fault)
        case "login":
            return Reply(b"", 303, HTML, {"location": "/login.html?next_url=%2Fserving-endpoints%2Fresponses"})
        case "html":
            return Reply(PAGE.format(fault.status).encode(), fault.status, HTML)
        case "garbage":
            return Reply(b"\x00\xff\xfethis is no event stream\r\n\r\n}{", 200, "text/event-stream")
        case "body":
            content_type, text = ERROR_BODIES[fault.shape](fault.status)
            return Reply(text.encode(), fault.status, content_type)
        case _:
            return None


def _status(fault: Fault) -> Reply:
    headers = {} if fault.retry_after_header is None else {"retry-after": f"{fault.retry_after_header:g}"}
    if fault.status == 429:
        error: dict[str, object] = {
            "message": "Rate limit exceeded: ITPM limit of 200,000 tokens reached",
            "type": "rate_limit_exceeded",
            "code": 429,
            "limit_type": "input_tokens_per_minute",
            "limit": 200000,
            "current": 200150,
        }
        if fault.retry_after is not None:
            error["retry_after"] = fault.retry_after
        return json_reply({"error": error}, 429, headers)
    code = {
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "RESOURCE_DOES_NOT_EXIST",
        501: "NOT_IMPLEMENTED",
        503: "TEMPORARILY_UNAVAILABLE",
    }.get(fault.status, "INTERNAL_ERROR" if fault.status >= 500 else "BAD_REQUEST")
    message = "The embedded workspace was told to fail."
    return json_reply({"error_code": code, "message": message}, fault.status, headers)


async def play_in_stream(incoming: Incoming, events: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    """Yield the stream's bytes with the requested faults.

    Raises:
        Aborted: where the connection is to be closed.
    """
    faults = incoming.faults
    slow = first(faults, "slow")
    async with aclosing(_events_with_faults(incoming, events)) as chunks:
        async for chunk in chunks:
            step = slow.chunk_bytes if slow else len(chunk)
            for start in range(0, len(chunk), step):
                yield chunk[start : start + step]
    if first(faults, "close"):
        raise Aborted


async def _events_with_faults(incoming: Incoming, events: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    breaking = first(incoming.faults, "cut", "malformed", "failed", "error_event", "error_chunk")
    hold = incoming.state.current_hold
    sent, response = 0, None
    async with aclosing(events):
        async for event in events:
            response = event.get("response", response)
            if hold is not None:
                await hold.wait(sent)
            if breaking is not None and sent == breaking.after:
                for chunk in _break(breaking, event["sequence_number"], response):
                    yield chunk
                if breaking.kind != "malformed":
                    return
            if (unknown := first(incoming.faults, "unknown")) and sent == unknown.after + 2:
                for chunk in _unknown(event):
                    yield chunk
            if event["type"] in _TERMINAL and first(incoming.faults, "no_terminal"):
                return
            yield encode_event(event)
            sent += 1
            incoming.exchange.events_sent = sent


def _break(fault: Fault, number: int, response: dict[str, Any] | None) -> list[bytes]:
    match fault.kind:
        case "cut":
            raise Aborted
        case "malformed":
            return [b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":\n\n']
        case "error_event":
            error = {"type": "error", "code": "server_error", "message": "The embedded workspace was told to fail."}
            return [encode_event({**error, "param": None, "sequence_number": number})]
        case "error_chunk":
            return [b'data: {"error":"The embedded workspace was told to fail."}\n\n']
        case _:
            return [encode_event(_failed(number, response))]


def _failed(number: int, response: dict[str, Any] | None) -> Event:
    error = {"code": "server_error", "message": "The embedded workspace was told to fail."}
    failed = {**(response or {}), "status": "failed", "error": error}
    return {"type": "response.failed", "sequence_number": number, "response": failed}


def _unknown(event: Event) -> list[bytes]:
    number, index = event["sequence_number"], 99
    item = {"type": "hologram_call", "id": "holo_1", "status": "completed", "frames": [1, 2, 3]}
    return [
        encode_event({"type": "response.hologram.delta", "sequence_number": number, "delta": "?"}),
        b": a comment\n\n",
        b'data: {"trace_id":"tr-1"}\n\n',
        encode_event(
            {"type": "response.output_item.done", "sequence_number": number, "output_index": index, "item": item}
        ),
    ]
