"""Odd values in every field, on every surface: each request is answered or refused, none is an error of the server."""

import itertools
import random
from typing import Any

import httpx
import pytest

from databricks_workspace_emulator.server import run_emulator
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

MODELS = ("databricks-claude-sonnet-4-5", "databricks-gemini-3-1-pro", "databricks-gpt-5", "my-openai-external")
AGENTS = ("my-supervisor-agent", "my-chat-agent", "my-old-chat-agent")
PATHS = (
    "/serving-endpoints/responses",
    "/serving-endpoints/open-responses",
    "/serving-endpoints/chat/completions",
    "/ai-gateway/openai/v1/responses",
    "/ai-gateway/mlflow/v1/chat/completions",
    "/ai-gateway/mlflow/v1/responses",
    "/apps/my-agent/responses",
    "/serving-endpoints/my-chat-agent/invocations",
)
FIELDS = (
    *("model", "input", "messages", "tools", "tool_choice", "stream", "response_format", "thinking", "stop"),
    *("reasoning", "text", "max_tokens", "databricks_options", "custom_inputs", "metadata", "stream_options"),
    "reasoning_effort",
)
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 1.5, "", "🦊", [], [None], ["x"], {}, [{}], [[]], {"type": ["x"]}, {"function": []}),
    [{"type": "function", "function": {"name": "f", "parameters": []}}],
    [{"role": "assistant", "content": None, "tool_calls": [{}]}],
    [{"role": "assistant", "content": [{"type": "input_text"}]}, {"role": "user", "content": "x"}],
    [{"role": "tool", "tool_call_id": "a", "content": [{"type": "text"}]}],
    [{"role": "user", "content": [None]}],
    [{"role": "user", "content": [{"type": "reasoning", "summary": []}]}],
    [CALL, {"type": "function_call_output", "call_id": "c", "output": [None]}],
    [{"type": "mcp_approval_response", "approval_request_id": "m", "approve": True}],
)


async def test_no_surface_breaks() -> None:
    attacks = list(itertools.product(PATHS, (*MODELS, *AGENTS), FIELDS, VALUES, (False, True)))
    statuses = set()
    async with run_emulator(credential="oauth") as emulator:
        emulator.state.switches.supervisor = True
        headers = {"authorization": f"Bearer {emulator.token}"}
        async with httpx.AsyncClient(
            base_url=emulator.host, headers=headers, verify=False, timeout=DEADLINE_SECONDS
        ) as client:
            for path, model, field, value, stream in random.Random(1).sample(attacks, 700):
                question = [{"role": "user", "content": "Hi"}]
                body = {"model": model, "stream": stream, "input": question, "messages": question}
                del body["input" if "chat" in path else "messages"]
                answer = await client.post(path, json=body | {field: value})
                assert answer.status_code < 500, (path, body | {field: value}, answer.text)
                statuses.add(answer.status_code)
    assert statuses == {200, 400, 404}
