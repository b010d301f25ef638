"""Every item type, streamed and whole, through the official client; its types and OpenAI's document judge it."""

import itertools
import textwrap
from typing import Any

import pytest
from inline_snapshot import snapshot
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from databricks_workspace_emulator.server import RunningEmulator
from oracle import openai_spec

pytestmark = pytest.mark.anyio

SDK_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
SDK_RESPONSE: TypeAdapter[Any] = TypeAdapter(Response)

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}
DOCS = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp", "authorization": "secret"}
PERSON = {
    "type": "json_schema",
    "name": "person",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
}

CASES: dict[str, dict[str, Any]] = {
    "text": {"input": "Hello"},
    "json": {"input": "Who?", "text": {"format": PERSON}},
    "reasoning": {"input": "Why?", "reasoning": {"effort": "medium", "summary": "auto"}},
    "encrypted reasoning": {
        "input": "Why?",
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
    },
    "refusal": {"input": "[[refuse]]"},
    "empty": {"input": "[[empty]]"},
    "commentary": {"input": "[[commentary]]"},
    "truncated": {"input": "[[words 100]]", "max_output_tokens": 16},
    "filtered": {"input": "[[filter]]"},
    "only reasoning": {"input": "[[only reasoning]]"},
    "failed": {"input": "[[fail]] and say why"},
    "function": {"input": "Weather in Oslo?", "tools": [WEATHER]},
    "custom": {
        "input": "Write a Python function to calculate factorial",
        "tools": [{"type": "custom", "name": "code_exec", "description": "Executes arbitrary Python code."}],
    },
    "apply_patch": {"input": "Add input validation in main.py.", "tools": [{"type": "apply_patch"}]},
    "shell": {"input": "How long is main.py?", "tools": [{"type": "shell", "environment": {"type": "local"}}]},
    "image": {"input": "A fox", "tools": [{"type": "image_generation", "size": "64x64", "partial_images": 2}]},
    "web_search": {
        "input": "What is new?",
        "tools": [{"type": "web_search", "filters": {"allowed_domains": ["docs.example"]}}],
        "include": ["web_search_call.action.sources"],
    },
    "mcp": {"input": "Find it", "tools": [{**DOCS, "require_approval": "never"}]},
    "mcp approval": {"input": "Find it", "tools": [DOCS]},
}

ORDER = snapshot(
    {
        "text": [
            "created in_progress output_item.added content_part.added output_text.delta output_text.done",
            "content_part.done output_item.done completed",
        ],
        "json": [
            "created in_progress output_item.added content_part.added output_text.delta output_text.done",
            "content_part.done output_item.done completed",
        ],
        "reasoning": [
            "created in_progress output_item.added reasoning_summary_part.added reasoning_summary_text.delta",
            "reasoning_summary_text.done reasoning_summary_part.done reasoning_summary_part.added",
            "reasoning_summary_text.delta reasoning_summary_text.done reasoning_summary_part.done",
            "output_item.done output_item.added content_part.added output_text.delta output_text.done",
            "content_part.done output_item.done completed",
        ],
        "encrypted reasoning": [
            "created in_progress output_item.added output_item.done output_item.added content_part.added",
            "output_text.delta output_text.done content_part.done output_item.done completed",
        ],
        "refusal": [
            "created in_progress output_item.added content_part.added refusal.delta refusal.done",
            "content_part.done output_item.done completed",
        ],
        "empty": [
            "created in_progress output_item.added content_part.added output_text.done content_part.done",
            "output_item.done completed",
        ],
        "commentary": [
            "created in_progress output_item.added content_part.added output_text.delta output_text.done",
            "content_part.done output_item.done output_item.added content_part.added output_text.delta",
            "output_text.done content_part.done output_item.done completed",
        ],
        "truncated": [
            "created in_progress output_item.added content_part.added output_text.delta output_text.done",
            "content_part.done output_item.done incomplete",
        ],
        "filtered": [
            "created in_progress output_item.added content_part.added output_text.delta output_text.done",
            "content_part.done output_item.done incomplete",
        ],
        "only reasoning": ["created in_progress output_item.added output_item.done incomplete"],
        "failed": ["created in_progress output_item.added content_part.added output_text.delta failed"],
        "function": [
            "created in_progress output_item.added function_call_arguments.delta function_call_arguments.done",
            "output_item.done completed",
        ],
        "custom": [
            "created in_progress output_item.added custom_tool_call_input.delta custom_tool_call_input.done",
            "output_item.done completed",
        ],
        "apply_patch": ["created in_progress output_item.added output_item.done completed"],
        "shell": [
            "created in_progress output_item.added shell_call_command.added shell_call_command.delta",
            "shell_call_command.done shell_call_command.added shell_call_command.delta shell_call_command.done",
            "output_item.done completed",
        ],
        "image": [
            "created in_progress output_item.added image_generation_call.in_progress",
            "image_generation_call.generating image_generation_call.partial_image image_generation_call.completed",
            "output_item.done output_item.added content_part.added output_text.delta output_text.done",
            "content_part.done output_item.done completed",
        ],
        "web_search": [
            "created in_progress output_item.added web_search_call.in_progress web_search_call.searching",
            "web_search_call.completed output_item.done output_item.added content_part.added output_text.delta",
            "output_text.annotation.added output_text.delta output_text.annotation.added output_text.done",
            "content_part.done output_item.done completed",
        ],
        "mcp": [
            "created in_progress output_item.added mcp_list_tools.in_progress mcp_list_tools.completed",
            "output_item.done output_item.added mcp_call.in_progress mcp_call_arguments.delta",
            "mcp_call_arguments.done mcp_call.completed output_item.done output_item.added content_part.added",
            "output_text.delta output_text.done content_part.done output_item.done completed",
        ],
        "mcp approval": [
            "created in_progress output_item.added mcp_list_tools.in_progress mcp_list_tools.completed",
            "output_item.done output_item.added output_item.done completed",
        ],
    }
)


def in_short(kinds: list[str]) -> list[str]:
    """Event types without their prefix, repeated ones once, as lines."""
    short = " ".join(kind.removeprefix("response.") for kind, _ in itertools.groupby(kinds))
    return textwrap.wrap(short, 100, break_on_hyphens=False)


def without_chance(response: dict[str, Any]) -> dict[str, Any]:
    """A response without ids and times, which no two replies share."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            hidden = ("id", "call_id", "created_at", "completed_at")
            return {key: strip(part) for key, part in value.items() if key not in hidden}
        return [strip(part) for part in value] if isinstance(value, list) else value

    stripped: dict[str, Any] = strip(response)
    return stripped


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("model", ["databricks-gpt-5", "my-openai-external"])
async def test_every_event_of_every_item_fits_the_official_types_and_the_document(
    official: AsyncOpenAI, model: str, case: str
) -> None:
    stream = await official.responses.create(model=model, stream=True, **CASES[case])
    seen = [event.to_dict(mode="json") async for event in stream]
    for event in seen:
        openai_spec.validate_event(event)
        SDK_EVENT.validate_python(event, strict=True)
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert in_short([event["type"] for event in seen]) == ORDER[case]


@pytest.mark.parametrize("case", CASES)
async def test_a_whole_answer_fits_the_document_and_is_what_the_stream_adds_up_to(
    official: AsyncOpenAI, case: str
) -> None:
    request = {"model": "databricks-gpt-5", **CASES[case]}
    openai_spec.validate_request(request)
    raw = await official.responses.with_raw_response.create(**request)
    whole = raw.http_response.json()
    openai_spec.validate_response(whole)
    SDK_RESPONSE.validate_python(whole, strict=True)

    last: dict[str, Any] = {}
    done: list[dict[str, Any]] = []
    async for event in await official.responses.create(stream=True, **request):
        last = event.to_dict(mode="json")
        if last["type"] == "response.output_item.done":
            done.append(last["item"])
    assert last["response"]["output"] == done
    assert without_chance(last["response"]) == without_chance(whole)


async def test_deltas_add_up_to_the_text_that_the_done_event_repeats(official: AsyncOpenAI) -> None:
    text = done = ""
    async for event in await official.responses.create(model="databricks-gpt-5", input="[[words 50]]", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.output_text.done":
            done = event.text
        elif event.type == "response.completed":
            assert event.response.output_text == done == text
            break
    assert text.split()[::49] == ["word1", "word50"]


async def test_ids_come_out_longer_than_they_may_go_in_and_differ_between_events(official: AsyncOpenAI) -> None:
    request: dict[str, Any] = {"input": "Hello", "reasoning": {"summary": "auto"}, "stream": True}
    lengths: dict[str, set[int]] = {}
    for model in ("databricks-gpt-5", "my-openai-external"):
        ids: set[str] = set()
        async for event in await official.responses.create(model=model, **request):
            if event.type in ("response.output_item.added", "response.output_item.done"):
                ids.add(event.item.id)
            elif hasattr(event, "item_id"):
                ids.add(event.item_id)
        lengths[model] = {len(one) for one in ids}
        assert (len(ids) > 10) is (model == "databricks-gpt-5")
    assert lengths == snapshot({"databricks-gpt-5": {54, 192, 416}, "my-openai-external": {51, 52}})


async def test_with_short_ids_items_can_be_sent_back_as_received(
    official: AsyncOpenAI, emulator: RunningEmulator
) -> None:
    emulator.state.switches.long_ids = False
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    said: list[Any] = [{"role": "user", "content": "Rome?"}]
    ids: dict[int, set[str]] = {}
    async for event in await official.responses.create(
        model="databricks-gpt-5", input=said, tools=tools, reasoning={"summary": "auto"}, stream=True
    ):
        if event.type in ("response.output_item.added", "response.output_item.done"):
            ids.setdefault(event.output_index, set()).add(event.item.id)
        elif hasattr(event, "item_id"):
            ids.setdefault(event.output_index, set()).add(event.item_id)
        elif event.type == "response.completed":
            said += [item.to_dict() for item in event.response.output]
    output = {"type": "function_call_output", "call_id": said[-1]["call_id"], "output": "Sunny"}
    answer = await official.responses.create(model="databricks-gpt-5", input=[*said, output], tools=tools)
    assert [len(one) for one in ids.values()] == [1, 1]
    assert "weather gave: Sunny" in answer.output_text


async def test_usage_counts_what_was_read_and_written(official: AsyncOpenAI) -> None:
    response = await official.responses.create(
        model="databricks-gpt-5", input="[[words 10]]", reasoning={"effort": "low"}
    )
    assert response.usage is not None
    assert response.usage.to_dict() == snapshot(
        {
            "input_tokens": 10,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 20},
            "total_tokens": 40,
        }
    )
    assert response.model == "embedded-rules"
