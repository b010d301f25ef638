"""Checks of the bridge with any model server: the same questions to each, over stdio, through a recording proxy."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from harness.foreign_server import ForeignServer
from harness.stdio_bridge import CONTINUE, StdioBridge, stdio_bridge
from harness.stdio_process import ASK
from harness.wiretap import Hold, Wiretap, wiretap

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TEXT = rb"output_text\.delta"
"""A pattern in events with text, on surfaces with the Responses API."""
CHAT_TEXT = rb'"content": ?"[^"]'
"""A pattern in events with text, on chat completions."""
CHAT_PATHS = {"/serving-endpoints/chat/completions": "/v1/chat/completions"}
"""The usual paths of other servers than Databricks."""


@asynccontextmanager
async def bridge_to(
    server: ForeignServer,
    tmp_path: Path,
    *,
    key: str | None = None,
    paths: Mapping[str, str] | None = None,
    **settings: str,
) -> AsyncIterator[tuple[StdioBridge, Wiretap]]:
    """Run the bridge's process with a server, and a recording proxy between them.

    Args:
        paths: the server's paths that differ from those of Databricks.
        settings: as for `stdio_bridge`.
    """
    async with (
        wiretap(server.port, paths) as tap,
        stdio_bridge(
            tap.origin,
            server.key if key is None else key,
            tmp_path,
            # So small a model may never end its answer.
            **{"default_max_output_tokens": "64", **settings},
        ) as bridge,
    ):
        yield bridge, tap


async def answers(bridge: StdioBridge, prompt: str = "Say hello.", **arguments: Any) -> dict[str, Any]:
    """Check that a question is answered with text."""
    facts = await bridge.ask(prompt, **arguments)
    assert not facts["isError"], facts
    assert facts["text"].strip(), facts
    assert facts["status"] in ("completed", "incomplete"), facts
    return facts


async def streams(bridge: StdioBridge, tap: Wiretap, *, text: bytes = TEXT, prompt: str = "Say hello.") -> str:
    """Check that progress shows a part of the answer before the server has sent the rest; return that message."""
    tap.hold = hold = Hold(text)
    bridge.progress.clear()
    number = await bridge.begin(ASK, prompt=prompt)
    message = await bridge.progress_with("characters: …")
    assert hold.reached.is_set()
    hold.go_on.set()
    facts = await bridge.result(number)
    assert not facts["isError"], facts
    shown = message.partition("characters: …")[2]
    assert shown
    assert " ".join(facts["text"].split()).startswith(shown.strip()), (shown, facts)
    assert len(facts["text"]) > len(shown), "nothing was held back"
    return message


async def calls_a_function(bridge: StdioBridge, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check that the model calls a function, gets its output and answers; return the call and the answer."""
    asked = await bridge.ask("What is the weather in Paris?", tools=[WEATHER], **arguments)
    assert not asked["isError"], asked
    (call,) = asked["pending_calls"]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert json.loads(call["arguments"])["city"]
    given = {"call_id": call["call_id"], "output": "It is 21 degrees and sunny."}
    answer = await bridge.call(CONTINUE, conversation_id=asked["conversation_id"], outputs=[given])
    assert not answer["isError"], answer
    assert answer["text"].strip(), answer
    assert "pending_calls" not in answer, answer
    return call, answer


async def is_cancelled(bridge: StdioBridge, tap: Wiretap, *, text: bytes = TEXT, prompt: str = "Say hello.") -> None:
    """Check that cancelling a call closes its connection at once, and that the next call is answered."""
    tap.hold = hold = Hold(text)
    number = await bridge.begin(ASK, prompt=prompt)
    await hold.reached.wait()
    await bridge.cancel(number)
    await tap.posted()[-1].gone.wait()
    hold.go_on.set()
    await answers(bridge, prompt)


async def loses_the_connection(
    bridge: StdioBridge, tap: Wiretap, *, text: bytes = TEXT, prompt: str = "Say hello."
) -> dict[str, Any]:
    """Check that a lost connection gives a retryable error with the received text, and that a retry succeeds."""
    tap.cut_after = text
    facts = await bridge.ask(prompt)
    assert facts["isError"], facts
    assert facts["error"]["retryable"], facts
    assert facts["text"], facts
    await answers(bridge, prompt)
    return facts


async def refuses_the_key(
    server: ForeignServer, tmp_path: Path, *, paths: Mapping[str, str] | None = None, **settings: str
) -> dict[str, Any]:
    """Check that a wrong key is reported as such, and does not appear in the host's output."""
    async with bridge_to(server, tmp_path, key="dapi-wrong-0123456789", paths=paths, **settings) as (bridge, _):
        facts = await bridge.ask("Say hello.")
    assert facts["isError"], facts
    assert "dapi-wrong-0123456789" not in json.dumps(facts)
    return dict(facts["error"])
