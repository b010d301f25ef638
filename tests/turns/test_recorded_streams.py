"""Streams of servers that are not ours, as `scripts/recordings` recorded them, read whole from a socket."""

from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.turns.ask import AskRequest, ask
from harness.raw_server import answer, raw_server

pytestmark = pytest.mark.anyio

RECORDED = Path(__file__).parent / "recorded_streams"


async def read(name: str, **request: Any) -> dict[str, Any]:
    """Return the outcome of a question that is answered with a recording."""
    body = (RECORDED / f"{name}.sse").read_bytes()
    async with raw_server(answer(body, "text/event-stream; charset=utf-8")) as (_, bridge):
        outcome = await ask(bridge, AskRequest(prompt="Hi", model="smollm2", **request))
    facts = outcome.as_dict()
    del facts["conversation_id"]
    return facts


async def test_an_answer_of_vllm_is_read_whole() -> None:
    assert await read("vllm_text") == snapshot(
        {
            "text": "The capital of France is Paris.",
            "status": "completed",
            "model": "smollm2",
            "endpoint": "smollm2",
            "response_id": "resp_8f3f748bf0abebf9",
            "usage": {"input_tokens": 16, "output_tokens": 8, "total_tokens": 24},
        }
    )


async def test_an_answer_of_vllm_that_was_cut_is_incomplete_although_its_last_event_says_completed() -> None:
    assert await read("vllm_cut") == snapshot(
        {
            "text": "The story of a young woman named Elara Sarri, a brilliant and",
            "status": "incomplete",
            "model": "smollm2",
            "endpoint": "smollm2",
            "response_id": "resp_93fe9e00ea742de4",
            "incomplete_reason": "max_output_tokens",
            "usage": {"input_tokens": 14, "output_tokens": 16, "total_tokens": 30},
        }
    )


async def test_a_function_call_of_vllm_waits_for_its_output() -> None:
    assert await read("vllm_function_call") == snapshot(
        {
            "text": "",
            "status": "completed",
            "model": "smollm2",
            "endpoint": "smollm2",
            "response_id": "resp_a397ee87f7c52727",
            "pending_calls": [
                {
                    "type": "function_call",
                    "call_id": "chatcmpl-tool-8f5a04c9fd2ec63c",
                    "name": "get_weather",
                    "arguments": '{"city": "Paris"}',
                    "answer_with": {
                        "type": "function_call_output",
                        "call_id": "chatcmpl-tool-8f5a04c9fd2ec63c",
                        "output": "<text, or a list of input_text and input_image>",
                    },
                }
            ],
            "usage": {
                "input_tokens": 254,
                "input_tokens_details": {"cache_write_tokens": 128},
                "output_tokens": 31,
                "total_tokens": 285,
            },
        }
    )


async def test_a_hosted_tool_that_vllm_repeats_and_does_not_run_gives_prose() -> None:
    tools = [{"type": "image_generation"}]
    assert await read("vllm_ignored_tool", tools=tools) == snapshot(
        {
            "text": "A fox is a classic example of a creature that is both a creature and a",
            "status": "incomplete",
            "model": "smollm2",
            "endpoint": "smollm2",
            "response_id": "resp_85f4c609316c2431",
            "incomplete_reason": "max_output_tokens",
            "usage": {"input_tokens": 13, "output_tokens": 16, "total_tokens": 29},
        }
    )
