"""An agent that supervises others, with the observed behaviour of such agents.

Its text arrives only in whole items; it calls its own tools and returns call and output as items of its output; it asks
for approval in the same way; some chunks have no ``type``; its last event is ``responses.completed``.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from databricks_workspace_emulator.agents import plain
from databricks_workspace_emulator.agents.asked import Asked, Chunk, new_id, trace, words
from databricks_workspace_emulator.contract.items import Item
from databricks_workspace_emulator.engines.rules import directive

_TOOL = "agent-support"
_SERVER = "support"


async def chunks(asked: Asked) -> AsyncGenerator[Chunk]:
    """Yield whole items and chunks without a type, then ``responses.completed``.

    Raises:
        ApiError: 500 if the engine fails.
    """
    yield {"trace_id": f"tr-{secrets.token_hex(16)}"}
    decisions = [item for item in asked.talk.open_items if item["type"] == "mcp_approval_response"]
    text = ""
    if not decisions and directive(asked.talk.prompt)[0] == "approval":
        yield _done(_request(asked))
    else:
        for item in _decided(asked, decisions) if decisions else _consulted(asked):
            yield _done(item)
        async with aclosing(words(asked)) as pieces:
            text = "".join([piece async for piece in pieces])
        yield _done(plain.message(text, new_id()), asked.custom_inputs)
    if asked.wants_trace:
        yield {"databricks_output": trace(asked)}
    response = {"id": f"resp_{new_id()}", "status": "completed", "usage": asked.usage(text)}
    yield {"type": "responses.completed", "response": response}


def whole(asked: Asked, parts: Sequence[Chunk]) -> dict[str, Any]:
    """Return the whole reply of the chunks."""
    reply = plain.whole(asked, parts)
    return {**reply, "usage": parts[-1]["response"]["usage"]}


def _done(item: Item, custom: dict[str, Any] | None = None) -> Chunk:
    done = {"type": "response.output_item.done", "item": item}
    return done if custom is None else {**done, "custom_outputs": custom}


def _request(asked: Asked) -> Item:
    arguments = json.dumps({"question": asked.talk.prompt}, ensure_ascii=False)
    kind = "mcp_approval_request"
    return {"type": kind, "id": f"mcpr_{new_id()}", "server_label": _SERVER, "name": _TOOL, "arguments": arguments}


def _consulted(asked: Asked) -> list[Item]:
    return _called(_TOOL, json.dumps({"question": asked.talk.prompt}, ensure_ascii=False), "No agent was asked.")


def _decided(asked: Asked, decisions: list[Item]) -> list[Item]:
    requests = {item["id"]: item for item in asked.items if item.get("type") == "mcp_approval_request"}
    shown: list[Item] = []
    for decision in decisions:
        request = requests[decision["approval_request_id"]]
        said = "No agent was asked." if decision["approve"] else "The user did not approve."
        shown += _called(request["name"], request["arguments"], said)
    return shown


def _called(name: str, arguments: str, output: str) -> list[Item]:
    call_id = f"call_{new_id()}"
    return [
        {"type": "function_call", "id": new_id(), "call_id": call_id, "name": name, "arguments": arguments},
        {"type": "function_call_output", "call_id": call_id, "output": output},
    ]
