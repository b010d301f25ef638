"""What the bridge replays is what a careful user of the official client sends, who keeps the history by himself.

``history += response.output``, encrypted reasoning included, and what the workspace makes everybody do: ids of over
64 characters shortened, nulls left out, pictures without their base64 unless the model may edit them.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from databricks_responses_mcp.responses.replay import short_id
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_workspace_emulator import writer
from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.tool_handlers import calls

pytestmark = pytest.mark.anyio

MODEL = "databricks-gpt-5"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
CODE = {"type": "custom", "name": "code_exec"}
PATCH = {"type": "apply_patch"}
SHELL = {"type": "shell"}
SEARCH = {"type": "web_search"}
GENIE = {"type": "mcp", "server_label": "genie", "server_url": "https://mcp.example.com", "require_approval": "always"}
FREE = {**GENIE, "server_label": "free", "require_approval": "never"}
DRAW = {"type": "image_generation"}
FILE = "Add input validation to main.py.\n\nmain.py:\n```python\ndef f(n):\n    return n\n```"
ENCRYPTED = ["reasoning.encrypted_content"]
LIMIT = 16384

Item = dict[str, Any]


@dataclass
class Step:
    """One turn: words with tools, or outputs for the calls that wait."""

    prompt: str = ""
    tools: list[Item] = field(default_factory=list)
    effort: str = "low"
    outputs: Callable[[Item], Item] | None = None
    input_items: Callable[[Item], Item] | None = None


def by_call(**fields: Any) -> Callable[[Item], Item]:
    return lambda call: {"call_id": call["call_id"], **fields}


def approve(call: Item) -> Item:
    return {"approval_request_id": call["approval_request_id"], "approve": True}


def approval(item: Item) -> Item:
    return {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": True}


def output(kind: str, **fields: Any) -> Callable[[Item], Item]:
    return lambda item: {"type": f"{kind}_output", "call_id": item["call_id"], **fields}


def shell_output(item: Item) -> Item:
    result = {"stdout": "main.py", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    limit = item["action"]["max_output_length"]
    return {"type": "shell_call_output", "call_id": item["call_id"], "output": [result], "max_output_length": limit}


CONVERSATIONS: dict[str, list[Step]] = {
    "words": [Step("Hello"), Step("[[commentary]] And now?"), Step("[[refuse]] this"), Step("And in the end?")],
    "function calls": [
        Step("Weather in Paris?", [WEATHER]),
        Step(outputs=by_call(output="22 degrees"), input_items=output("function_call", output="22 degrees")),
        Step("And in Rome?", [WEATHER]),
        Step(outputs=by_call(output="24 degrees"), input_items=output("function_call", output="24 degrees")),
        Step("Which is warmer?", [WEATHER]),
    ],
    "custom": [
        Step("Write Python.", [CODE]),
        Step(outputs=by_call(output="120"), input_items=output("custom_tool_call", output="120")),
        Step("Thanks.", [CODE]),
    ],
    "patch": [
        Step(FILE, [PATCH]),
        Step(
            outputs=by_call(status="completed", output="Done."),
            input_items=output("apply_patch_call", status="completed", output="Done."),
        ),
        Step("Thanks.", [PATCH]),
    ],
    "shell": [
        Step("List the files.", [SHELL]),
        Step(
            outputs=by_call(stdout="main.py", stderr="", exit_code=0),
            input_items=shell_output,
        ),
        Step("Thanks.", [SHELL]),
    ],
    "search": [Step("News?", [SEARCH]), Step("More?", [SEARCH])],
    "mcp": [
        Step("Ask genie.", [GENIE, FREE]),
        Step(outputs=approve, input_items=approval),
        Step("Thanks.", [GENIE, FREE]),
    ],
    "a picture kept out": [
        Step("Draw a cat.", [DRAW]),
        Step("[[no tools]] What is on it?", [WEATHER]),
        Step("[[say end]]"),
    ],
    "a picture to edit": [Step("Draw a cat.", [DRAW]), Step("Now with a hat.", [DRAW])],
}
WAITING = ("function_call", "custom_tool_call", "apply_patch_call", "shell_call", "mcp_approval_request")


class Numbered:
    """In place of random ids, so that two workspaces say the same."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def token_hex(self, size: int) -> str:
        # The number first: long ids are cut at their end, and two of them must not become one.
        return f"{next(self._numbers):06x}".ljust(size * 2, "0")


def number_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    numbered = Numbered()
    for module in (writer, calls):
        monkeypatch.setattr(module, "secrets", numbered)


def bodies(emulator: RunningEmulator) -> list[Any]:
    found = [exchange.body for exchange in emulator.state.request_log.to("/responses")]
    emulator.state.request_log.exchanges.clear()
    return found


def careful(items: list[Item], tools: list[Item]) -> list[Item]:
    """A history as the workspace takes it."""
    sent = []
    for item in items:
        shortened = {key: short_id(value) if key in ("id", "call_id") else value for key, value in item.items()}
        if item.get("type") == "image_generation_call":
            if DRAW not in tools:
                while sent and sent[-1].get("type") == "reasoning":
                    sent.pop()
                continue
            shortened = {key: shortened[key] for key in ("type", "id", "status", "result")}
        sent.append(shortened)
    return sent


async def by_the_official_client(emulator: RunningEmulator, steps: list[Step]) -> list[Any]:
    history: list[Item] = []
    waiting: list[Item] = []
    tools: list[Item] = []
    plain = DefaultAsyncHttpxClient(verify=False)
    url = f"{emulator.host}/serving-endpoints"
    async with AsyncOpenAI(api_key=emulator.token, base_url=url, max_retries=0, http_client=plain) as client:
        create: Any = client.responses.create
        for step in steps:
            if step.prompt:
                tools = step.tools or tools
                content = [{"type": "input_text", "text": step.prompt}]
                history.append({"type": "message", "role": "user", "content": content})
            else:
                assert step.input_items is not None
                history += map(step.input_items, waiting)
            response = await create(
                model=MODEL,
                input=careful(history, tools),
                include=ENCRYPTED,
                reasoning={"effort": step.effort},
                max_output_tokens=LIMIT,
                **({"tools": tools} if tools else {}),
            )
            answer = [item.model_dump(exclude_unset=True, exclude_none=True) for item in response.output]
            waiting = [item for item in answer if item["type"] in WAITING]
            history += answer
    return bodies(emulator)


async def by_the_bridge(emulator: RunningEmulator, bridge: Bridge, steps: list[Step], tmp_path: Path) -> list[Any]:
    conversation_id: str | None = None
    pending: list[Item] = []

    async def save(item: Item) -> None:
        result = item.pop("result")
        path = tmp_path / f"{item['id'][-8:]}.png"
        path.write_bytes(base64.b64decode(result if isinstance(result, str) else bytes(result.base64)))
        item["picture"] = str(path)

    for step in steps:
        if step.prompt:
            question = AskRequest(
                prompt=step.prompt,
                tools=step.tools,
                reasoning_effort=step.effort,
                max_output_tokens=LIMIT,
                conversation_id=conversation_id,
            )
            outcome = await ask(bridge, question, CallContext.start(bridge.settings, take_image=save))
        else:
            assert step.outputs is not None
            assert conversation_id is not None
            outcome = await answer_calls(bridge, conversation_id, [step.outputs(call) for call in pending])
        conversation_id, pending = outcome.conversation_id, outcome.pending_calls
    return bodies(emulator)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_the_bridge_sends_what_the_official_client_sends(
    emulator: RunningEmulator, bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    steps = CONVERSATIONS[name]
    await bridge.endpoints.get(MODEL)
    emulator.state.request_log.exchanges.clear()
    number_ids(monkeypatch)
    official = await by_the_official_client(emulator, steps)
    number_ids(monkeypatch)
    ours = await by_the_bridge(emulator, bridge, steps, tmp_path)
    assert [body.pop("stream") for body in ours] == [True] * len(steps)
    assert ours == official
    assert "store" not in str(ours[-1].keys())
    assert any(item.get("encrypted_content") for item in ours[-1]["input"])
