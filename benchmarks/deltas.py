"""Reading a stream: CPU per 1000 deltas of the bridge's decoder and assembler, beside httpx-sse and json."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from time import process_time

import anyio
import httpx

from benchmarks.canned import server_sent, text_events
from benchmarks.measuring import Row, compare
from benchmarks.running import Run
from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.responses.output import text_of
from databricks_responses_mcp.workspace.event_stream import EventStream

TARGET = 1.5
_READ = 64 * 1024
_MAX_BYTES = 1_000_000_000
_ROUNDS, _DELTAS = 15, 4000


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


Read = Callable[[httpx.Response], Awaitable[str]]


async def _bridge(response: httpx.Response) -> str:
    assembler = ResponseAssembler()
    async with aclosing(EventStream(response, _MAX_BYTES).events()) as events:
        async for event in events:
            assembler.feed(event)
            if assembler.finished:
                break
    return text_of(assembler.result().output)


async def _floor(response: httpx.Response) -> str:
    from httpx_sse import EventSource

    text = []
    async for sse in EventSource(response).aiter_sse():
        event = json.loads(sse.data)
        if event["type"] == "response.output_text.delta":
            text.append(event["delta"])
        elif event["type"] == "response.completed":
            break
    return "".join(text)


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return 2 if quick else 2 * _ROUNDS


def run(run: Run) -> list[Row]:
    """Read the same stream both ways, in turns: as a model sends it, and as a fast network delivers it."""
    rounds, count = (1, 50) if run.quick else (_ROUNDS, _DELTAS)
    events = [server_sent(event) for event in text_events(count)]
    body = b"".join(events)
    reads = [body[at : at + _READ] for at in range(0, len(body), _READ)]
    rows = []
    for measure, pieces in (("one event a read", events), ("64 KiB a read", reads)):
        ours, floor = [], []
        for _ in range(rounds):
            ours.append(anyio.run(_timed, _bridge, pieces, count))
            floor.append(anyio.run(_timed, _floor, pieces, count))
            run.advance()
        rows.append(compare("deltas", f"CPU per 1000 deltas, {measure}", "httpx-sse + json", "ms", ours, floor, TARGET))
    return rows


async def _timed(read: Read, pieces: list[bytes], count: int) -> float:
    """Milliseconds of CPU per 1000 deltas."""
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Body(pieces))
    started = process_time()
    text = await read(response)
    used = process_time() - started
    assert text.startswith(" ")
    return used * 1e6 / count
