"""What the bridge has to do with any server of models: the same questions to each, over stdio, through a wiretap."""

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
"""What an event with text has in it, as a pattern, on surfaces that speak the Responses API."""
CHAT_TEXT = rb'"content": ?"[^"]'
"""The same on chat completions."""
CHAT_PATHS = {"/serving-endpoints/chat/completions": "/v1/chat/completions"}
"""Where everybody but Databricks has them."""


@asynccontextmanager
async def bridge_to(
    server: ForeignServer,
    tmp_path: Path,
    *,
    key: str | None = None,
    paths: Mapping[str, str] | None = None,
    **settings: str,
) -> AsyncIterator[tuple[StdioBridge, Wiretap]]:
    """The bridge's process before a server, and what listens in between.

    Args:
        paths: where the server has what Databricks has elsewhere.
        settings: as `stdio_bridge` takes them.
    """
    async with (
        wiretap(server.port, paths) as tap,
        stdio_bridge(
            tap.origin,
            server.key if key is None else key,
            tmp_path,
            # So small a model may never end by itself.
            **{"default_max_output_tokens": "64", **settings},
        ) as bridge,
    ):
        yield bridge, tap


async def answers(bridge: StdioBridge, prompt: str = "Say hello.", **arguments: Any) -> dict[str, Any]:
    """A question is answered in words."""
    facts = await bridge.ask(prompt, **arguments)
    assert not facts["isError"], facts
    assert facts["text"].strip(), facts
    assert facts["status"] in ("completed", "incomplete"), facts
    return facts


async def streams(bridge: StdioBridge, tap: Wiretap, *, text: bytes = TEXT, prompt: str = "Say hello.") -> str:
    """A piece of the answer is shown while the server has not sent the rest; the message that shows it."""
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
    """The model calls a function of the caller, gets what it returned, and answers; the call and the answer."""
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
    """A call that its host cancels leaves the server at once, and the next one is answered."""
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
    """A connection that ends in the middle is a failure that can be tried again, with what had come; and it can be."""
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
    """A wrong key is told as one, and is in nothing that the host sees."""
    async with bridge_to(server, tmp_path, key="dapi-wrong-0123456789", paths=paths, **settings) as (bridge, _):
        facts = await bridge.ask("Say hello.")
    assert facts["isError"], facts
    assert "dapi-wrong-0123456789" not in json.dumps(facts)
    return dict(facts["error"])
