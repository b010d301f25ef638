"""Agents: what each kind is asked with, how it answers, and the app that answers to people signed in alone."""

import json
import textwrap
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot
from openai import AsyncOpenAI

from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

RESPONSES = "/serving-endpoints/responses"
SUPERVISOR = "my-supervisor-agent"
KINDS = ["my-support-agent", SUPERVISOR, "my-chat-agent", "my-old-chat-agent"]


def said(text: str, field: str = "input") -> dict[str, Any]:
    """A question in the dialect that calls the conversation ``field``."""
    return {field: [{"role": "user", "content": text}]}


def body_for(agent: str, text: str) -> dict[str, Any]:
    """A question in the agent's dialect."""
    return said(text, "messages" if "chat" in agent else "input")


def without_ids(value: Any) -> Any:
    """The value with every id and time as dots."""
    if isinstance(value, dict):
        made_up = ("id", "item_id", "call_id", "trace_id", "created")
        return {key: "…" if key in made_up else without_ids(part) for key, part in value.items()}
    return [without_ids(part) for part in value] if isinstance(value, list) else value


def chunks(response: httpx.Response) -> list[Any]:
    """The data of each event, read; the last one is ``[DONE]``."""
    data = [line.removeprefix("data: ") for line in response.text.split("\n") if line]
    assert data.pop() == "[DONE]"
    return [without_ids(json.loads(line)) for line in data]


async def invoke(http: httpx.AsyncClient, agent: str, text: str = "[[say Hi there]]", **more: Any) -> httpx.Response:
    """Ask an agent by its own path."""
    return await http.post(f"/serving-endpoints/{agent}/invocations", json=body_for(agent, text) | more)


async def test_each_kind_answers_whole_in_its_dialect(http: httpx.AsyncClient) -> None:
    answers = {agent: (await invoke(http, agent, custom_inputs={"a": 1})).json() for agent in KINDS}
    assert without_ids(answers) == snapshot(
        {
            "my-support-agent": {
                "object": "response",
                "output": [
                    {
                        "type": "message",
                        "id": "…",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hi there"}],
                    }
                ],
                "custom_outputs": {"a": 1},
            },
            "my-supervisor-agent": {
                "object": "response",
                "output": [
                    {
                        "type": "function_call",
                        "id": "…",
                        "call_id": "…",
                        "name": "agent-support",
                        "arguments": '{"question": "[[say Hi there]]"}',
                    },
                    {"type": "function_call_output", "call_id": "…", "output": "No agent was asked."},
                    {
                        "type": "message",
                        "id": "…",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hi there"}],
                    },
                ],
                "custom_outputs": {"a": 1},
                "usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
            },
            "my-chat-agent": {
                "messages": [{"role": "assistant", "content": "Hi there", "id": "…"}],
                "id": "…",
                "finish_reason": "stop",
                "custom_outputs": {"a": 1},
                "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
            },
            "my-old-chat-agent": {
                "id": "…",
                "object": "chat.completion",
                "created": "…",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "Hi there"}, "finish_reason": "stop"}
                ],
                "custom_outputs": {"a": 1},
            },
        }
    )


async def test_each_kind_streams_in_its_dialect(http: httpx.AsyncClient) -> None:
    answers = {agent: chunks(await invoke(http, agent, custom_inputs={"a": 1}, stream=True)) for agent in KINDS}
    assert answers == snapshot(
        {
            "my-support-agent": [
                {"type": "response.output_text.delta", "item_id": "…", "delta": "Hi"},
                {"type": "response.output_text.delta", "item_id": "…", "delta": " there"},
                {
                    "type": "response.output_item.done",
                    "item": {
                        "type": "message",
                        "id": "…",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hi there"}],
                    },
                    "custom_outputs": {"a": 1},
                },
            ],
            "my-supervisor-agent": [
                {"trace_id": "…"},
                {
                    "type": "response.output_item.done",
                    "item": {
                        "type": "function_call",
                        "id": "…",
                        "call_id": "…",
                        "name": "agent-support",
                        "arguments": '{"question": "[[say Hi there]]"}',
                    },
                },
                {
                    "type": "response.output_item.done",
                    "item": {"type": "function_call_output", "call_id": "…", "output": "No agent was asked."},
                },
                {
                    "type": "response.output_item.done",
                    "item": {
                        "type": "message",
                        "id": "…",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hi there"}],
                    },
                    "custom_outputs": {"a": 1},
                },
                {
                    "type": "responses.completed",
                    "response": {
                        "id": "…",
                        "status": "completed",
                        "usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
                    },
                },
            ],
            "my-chat-agent": [
                {"id": "…", "delta": {"role": "assistant", "content": "Hi", "id": "…"}},
                {"id": "…", "delta": {"role": "assistant", "content": " there", "id": "…"}},
                {
                    "id": "…",
                    "delta": {"role": "assistant", "content": "", "id": "…"},
                    "finish_reason": "stop",
                    "custom_outputs": {"a": 1},
                    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
                },
            ],
            "my-old-chat-agent": [
                {
                    "id": "…",
                    "object": "chat.completion.chunk",
                    "created": "…",
                    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}],
                },
                {
                    "id": "…",
                    "object": "chat.completion.chunk",
                    "created": "…",
                    "choices": [
                        {"index": 0, "delta": {"role": "assistant", "content": " there"}, "finish_reason": None}
                    ],
                },
                {
                    "id": "…",
                    "object": "chat.completion.chunk",
                    "created": "…",
                    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                    "custom_outputs": {"a": 1},
                },
            ],
        }
    )


async def test_the_official_client_asks_agents_of_both_kinds(official: AsyncOpenAI) -> None:
    question: Any = said("[[say Hi there]]")["input"]
    extra = {"custom_inputs": {"a": 1}}
    text, outputs = [], []
    for agent in ("my-support-agent", SUPERVISOR):
        answer = await official.responses.create(model=agent, input=question, extra_body=extra)
        text.append(answer.output_text)
        outputs.append(answer.to_dict()["custom_outputs"])
    stream = await official.responses.create(model="my-support-agent", input=question, stream=True)
    deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
    chat = await official.chat.completions.create(model="my-old-chat-agent", messages=question)
    messages = await official.chat.completions.create(model="my-chat-agent", messages=question)
    assert (text, outputs) == (["Hi there"] * 2, [{"a": 1}] * 2)
    assert "".join(deltas) == chat.choices[0].message.content == "Hi there"
    assert messages.to_dict()["messages"][0]["content"] == "Hi there"  # type: ignore[index]


async def test_a_supervisor_asks_for_approval_and_goes_on_with_the_decision(http: httpx.AsyncClient) -> None:
    question = said("[[approval]] Delete it")["input"]
    body = {"model": SUPERVISOR, "input": question}
    (request,) = (await http.post(RESPONSES, json=body)).json()["output"]
    shown = []
    for approve in (True, False):
        decision = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve}
        answer = await http.post(RESPONSES, json={**body, "input": [*question, request, decision]})
        shown.append([item.get("output", item["type"]) for item in answer.json()["output"]])
    assert (without_ids(request), shown) == snapshot(
        (
            {
                "type": "mcp_approval_request",
                "id": "…",
                "server_label": "support",
                "name": "agent-support",
                "arguments": '{"question": "[[approval]] Delete it"}',
            },
            [
                ["function_call", "No agent was asked.", "message"],
                ["function_call", "The user did not approve.", "message"],
            ],
        )
    )


@pytest.mark.parametrize("agent", KINDS)
async def test_a_trace_comes_if_it_is_asked_for(http: httpx.AsyncClient, agent: str) -> None:
    options: dict[str, Any] = {"databricks_options": {"return_trace": True}}
    whole = (await invoke(http, agent, **options)).json()
    streamed = chunks(await invoke(http, agent, stream=True, **options))
    assert "trace" in whole["databricks_output"]
    assert [chunk for chunk in streamed if "databricks_output" in chunk]


async def test_models_take_no_options_of_agents(http: httpx.AsyncClient) -> None:
    body = {"model": "databricks-gpt-5", "input": "Hi", "databricks_options": {"return_trace": True}}
    assert (await http.post(RESPONSES, json=body)).status_code == 400


@pytest.mark.parametrize("agent", KINDS)
async def test_a_failure_in_the_stream_is_a_chunk_and_else_a_status(http: httpx.AsyncClient, agent: str) -> None:
    text = "[[fail]] one two three four"
    assert "INTERNAL_ERROR" in chunks(await invoke(http, agent, text, stream=True))[-1]["error"]
    assert (await invoke(http, agent, text)).status_code == 500


async def test_an_agent_takes_its_own_dialect_alone(http: httpx.AsyncClient) -> None:
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "text for a list": ("my-support-agent", {"input": "Hi"}),
        "messages": ("my-support-agent", said("Hi", "messages")),
        "input for a chat agent": ("my-chat-agent", said("Hi")),
        "no messages": ("my-chat-agent", {"messages": []}),
    }
    answers = {
        name: await http.post(f"/serving-endpoints/{agent}/invocations", json=body)
        for name, (agent, body) in bodies.items()
    }
    chat = await http.post(RESPONSES, json={"model": "my-chat-agent", **said("Hi")})
    assert {name: textwrap.wrap(answer.json()["message"], 96) for name, answer in answers.items()} == snapshot(
        {
            "text for a list": ["Invalid parameter 'input': Input should be a valid list."],
            "messages": [
                "Failed to enforce schema of the data with the agent's signature. Error: Model is missing inputs",
                "['input']. Note that there were extra inputs: ['messages']",
            ],
            "input for a chat agent": [
                "Failed to enforce schema of the data with the agent's signature. Error: Model is missing inputs",
                "['messages']. Note that there were extra inputs: ['input']",
            ],
            "no messages": ["Invalid parameter 'messages': It must not be empty."],
        }
    )
    assert {answer.status_code for answer in [*answers.values(), chat]} == {400}


@pytest.mark.parametrize("fault", ["cut:1", "close"])
async def test_an_agents_stream_can_be_cut(http: httpx.AsyncClient, fault: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post(
            "/serving-endpoints/my-support-agent/invocations",
            json=said("Hi") | {"stream": True},
            headers={"x-emulator-fault": fault},
        )


@pytest.fixture
async def signed_in() -> AsyncIterator[tuple[RunningEmulator, httpx.AsyncClient]]:
    """A workspace whose token is of the OAuth kind, and a client of it."""
    async with run_emulator(credential="oauth") as running:
        headers = {"authorization": f"Bearer {running.token}"}
        async with httpx.AsyncClient(
            base_url=running.host, headers=headers, verify=False, timeout=DEADLINE_SECONDS
        ) as client:
            yield running, client


async def test_an_app_is_found_by_name_and_answers_under_its_own_address(
    signed_in: tuple[RunningEmulator, httpx.AsyncClient],
) -> None:
    running, client = signed_in
    app = (await client.get("/api/2.0/apps/my-agent")).json()
    assert app["url"] == f"{running.host}/apps/my-agent"
    assert (await client.get("/api/2.0/apps")).json() == {"apps": [app]}
    official = AsyncOpenAI(base_url=app["url"], api_key=running.token, max_retries=0)
    async with official:
        answer = await official.responses.create(model="my-agent", input=said("[[say Hi]]")["input"])
    assert answer.output_text == "Hi"
    streamed = await client.post(app["url"] + "/invocations", json=said("[[say Hi]]") | {"stream": True})
    assert chunks(streamed)[-1]["type"] == "response.output_item.done"
    assert [exchange.path for exchange in running.state.request_log.to("responses")] == ["/apps/my-agent/responses"]


async def test_an_app_sends_personal_tokens_to_the_sign_in_page(
    http: httpx.AsyncClient, signed_in: tuple[RunningEmulator, httpx.AsyncClient]
) -> None:
    _, client = signed_in
    path = "/apps/my-agent/responses"
    personal = await http.post(path, json=said("Hi"))
    assert (personal.status_code, personal.headers["location"]) == snapshot(
        (302, "/login.html?next_url=/apps/my-agent/responses")
    )
    page = await http.get(personal.headers["location"])
    assert page.headers["content-type"].startswith("text/html")
    asked = {
        "no token": await client.post(path, json=said("Hi"), headers={"authorization": ""}),
        "another's token": await client.post(path, json=said("Hi"), headers={"authorization": "Bearer eyJ-other"}),
        "another app": await client.post("/apps/none/responses", json=said("Hi")),
        "another app's address": await client.get("/api/2.0/apps/none"),
    }
    assert {name: answer.status_code for name, answer in asked.items()} == snapshot(
        {"no token": 302, "another's token": 401, "another app": 404, "another app's address": 404}
    )
