"""Chat completions: what each model takes, and how its answers, thoughts and calls come."""

import json
import textwrap
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot
from openai import AsyncOpenAI

from databricks_workspace_emulator.server import RunningEmulator
from oracle import openai_spec

pytestmark = pytest.mark.anyio

CHAT = "/serving-endpoints/chat/completions"
CLAUDE = "databricks-claude-sonnet-4-5"
GEMINI = "databricks-gemini-3-1-pro"
QWEN = "databricks-qwen3-next-80b-a3b-instruct"
LLAMA = "databricks-meta-llama-3-3-70b-instruct"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
OTHER: Any = {"type": "function", "function": {"name": "news", "parameters": PARAMETERS}}
DATA_URL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
THINK = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 3000}


def asked(text: str) -> Any:
    """A question."""
    return [{"role": "user", "content": text}]


def pictured(url: str) -> Any:
    """A question with a picture."""
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


def lines(response: httpx.Response) -> list[str]:
    """The data of each event."""
    return [line.removeprefix("data: ") for line in response.text.split("\n") if line]


async def test_calls_come_in_pieces_that_add_up_to_what_comes_whole(official: AsyncOpenAI) -> None:
    tools = [TOOL, OTHER]
    raw = await official.chat.completions.with_raw_response.create(model=CLAUDE, messages=asked("Rome?"), tools=tools)
    whole = raw.http_response.json()
    openai_spec.validate_chat_completion(whole)
    calls: dict[int, list[str]] = {}
    finishes, usage, most = [], None, 0
    stream = await official.chat.completions.create(model=CLAUDE, messages=asked("Rome?"), tools=tools, stream=True)
    async for chunk in stream:
        openai_spec.validate_chat_chunk(chunk.to_dict(mode="json"))
        usage = chunk.usage
        for choice in chunk.choices:
            finishes.append(choice.finish_reason)
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                pieces = calls.setdefault(call.index, [call.function.name or "", ""])
                pieces[1] += call.function.arguments or ""
                most = max(most, len(call.function.arguments or ""))
    functions = [call["function"] for call in whole["choices"][0]["message"]["tool_calls"]]
    assert [[function["name"], function["arguments"]] for function in functions] == list(calls.values())
    assert [name for name, _ in calls.values()] == ["weather", "news"]
    assert (finishes[-1], whole["choices"][0]["finish_reason"]) == ("tool_calls", "tool_calls")
    assert most < len(calls[0][1])
    assert usage is not None
    assert usage.total_tokens == whole["usage"]["total_tokens"]


@pytest.mark.parametrize("model", [LLAMA, CLAUDE])
async def test_every_chunk_of_a_pay_per_token_model_has_usage_and_the_last_has_the_finish_reason(
    http: httpx.AsyncClient, model: str
) -> None:
    body = {"model": model, "messages": asked("[[words 20]]"), "stream": True}
    chunks = [json.loads(line) for line in lines(await http.post(CHAT, json=body))[:-1]]
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert [len(chunk["choices"]) for chunk in chunks] == [1] * len(chunks)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [*[None] * (len(chunks) - 1), "stop"]
    assert {chunk["usage"]["prompt_tokens"] for chunk in chunks} == {chunks[-1]["usage"]["prompt_tokens"]}
    assert chunks[-1]["usage"]["total_tokens"] == chunks[-1]["usage"]["prompt_tokens"] + counts[-1]
    # Claude's output is counted at its end; the others' as it comes.
    assert set(counts[:-1]) == {None} if model == CLAUDE else counts == sorted(counts)


@pytest.mark.parametrize(("options", "usages"), [({}, 0), ({"stream_options": {"include_usage": True}}, 1)])
async def test_an_external_model_streams_as_openai_does(
    http: httpx.AsyncClient, options: dict[str, Any], usages: int
) -> None:
    body = {"model": "my-openai-external", "messages": asked("[[say Hi]]"), "stream": True, **options}
    chunks = [json.loads(line) for line in lines(await http.post(CHAT, json=body))[:-1]]
    assert [chunk["choices"] for chunk in chunks if "usage" in chunk] == [[]] * usages
    assert chunks[-1 - usages]["choices"][0]["finish_reason"] == "stop"


async def test_a_call_is_answered_and_the_conversation_ends_in_text(official: AsyncOpenAI) -> None:
    messages = asked("Rome?")
    choice: Any = {"type": "function", "function": {"name": "news"}}
    first = await official.chat.completions.create(
        model=LLAMA, messages=messages, tools=[TOOL, OTHER], tool_choice=choice
    )
    message = first.choices[0].message
    (call,) = message.tool_calls or []
    messages += [message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "Sunny"}]
    second = await official.chat.completions.create(model=LLAMA, messages=messages, tools=[TOOL, OTHER])
    assert second.choices[0].finish_reason == "stop"
    assert "news gave: Sunny" in (second.choices[0].message.content or "")


async def test_json_schema_is_kept(official: AsyncOpenAI) -> None:
    schema = {**PARAMETERS, "additionalProperties": False}
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    for model in (CLAUDE, "databricks-gpt-5", QWEN):
        answer = await official.chat.completions.create(model=model, messages=asked("Rome?"), response_format=form)
        content = answer.choices[0].message.content
        assert content is not None
        assert set(json.loads(content)) == {"city"}


async def test_claude_thinks_in_parts_of_the_content(http: httpx.AsyncClient) -> None:
    body = {"model": CLAUDE, "messages": asked("[[say Hello there]]"), **THINK}
    whole = (await http.post(CHAT, json=body)).json()
    chunks = [json.loads(line) for line in lines(await http.post(CHAT, json={**body, "stream": True}))[:-1]]
    parts = [part for chunk in chunks for choice in chunk["choices"] for part in choice["delta"].get("content") or []]
    reasoning, text = whole["choices"][0]["message"]["content"]
    summaries = [part["summary"][0] for part in parts if part["type"] == "reasoning"]
    assert "".join(summary["text"] for summary in summaries) == reasoning["summary"][0]["text"]
    assert "signature" in summaries[-1]
    assert "signature" in reasoning["summary"][0]
    assert text == {"type": "text", "text": "Hello there"}
    assert "".join(part["text"] for part in parts if part["type"] == "text") == "Hello there"
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    again = [*body["messages"], whole["choices"][0]["message"], *asked("[[say Bye]]")]
    assert (await http.post(CHAT, json={**body, "messages": again})).status_code == 200


async def test_open_weights_of_openai_think_unasked_and_stream_their_text_plainly(http: httpx.AsyncClient) -> None:
    body = {"model": "databricks-gpt-oss-120b", "messages": asked("[[say Hi]]"), "stream": True}
    chunks = [json.loads(line) for line in lines(await http.post(CHAT, json=body))[:-1]]
    contents = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    assert {type(content).__name__ for content in contents} == {"list", "str", "NoneType"}
    assert contents[-2] == "Hi"


async def test_qwen_never_says_that_a_stream_is_finished(http: httpx.AsyncClient) -> None:
    body = {"model": QWEN, "messages": asked("[[say Hi]]")}
    streamed = [json.loads(line) for line in lines(await http.post(CHAT, json={**body, "stream": True}))[:-1]]
    assert {choice["finish_reason"] for chunk in streamed for choice in chunk["choices"]} == {None}
    assert (await http.post(CHAT, json=body)).json()["choices"][0]["finish_reason"] == "stop"


async def test_gemini_takes_its_signed_call_back(http: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"model": GEMINI, "messages": asked("Rome?"), "tools": [TOOL]}
    message = (await http.post(CHAT, json=body)).json()["choices"][0]["message"]
    output = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Sunny"}
    again = await http.post(CHAT, json={**body, "messages": [*body["messages"], message, output]})
    assert again.json()["choices"][0]["finish_reason"] == "stop"


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED = {"role": "assistant", "tool_calls": [CALL]}
REFUSED: dict[str, dict[str, Any]] = {
    "parallel_tool_calls": {"parallel_tool_calls": True},
    "service_tier": {"service_tier": "priority"},
    "an unknown field": {"reasoning": {"effort": "low"}},
    "strict for Claude": {"tools": [{"type": "function", "function": {**TOOL["function"], "strict": True}}]},
    "a custom tool": {"tools": [{"type": "custom", "custom": {"name": "c"}}]},
    "a hosted tool": {"tools": [{"type": "web_search"}]},
    "a flat tool": {"tools": [{"type": "function", "name": "f"}]},
    "a choice of nothing": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
    "empty content": {"messages": [*asked("Hi"), {"role": "assistant", "content": ""}, *asked("Hi")]},
    "an empty part": {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
    "effort for Claude": {"reasoning_effort": "low"},
    "thoughts longer than the answer": {**THINK, "max_tokens": 1500},
    "thinking of another": {"model": "databricks-gpt-5", **THINK},
    "effort of one that does not think": {"model": LLAMA, "reasoning_effort": "low"},
    "a picture for one that cannot see": {"model": LLAMA, "messages": pictured(DATA_URL)},
    "a remote picture for Claude": {"messages": pictured("https://pictures.example/cat.png")},
    "tools for GPT-5.4": {"model": "databricks-gpt-5-4", "tools": [TOOL]},
    "a codex model": {"model": "databricks-gpt-5-3-codex"},
    "a pro model": {"model": "databricks-gpt-5-5-pro"},
    "a call without Gemini's signature": {
        "model": GEMINI,
        "messages": [*asked("Hi"), CALLED, {"role": "tool", "tool_call_id": "call_1", "content": "1"}],
    },
    "a call without an answer": {"messages": [*asked("Hi"), CALLED]},
    "an answer to nothing": {"messages": [*asked("Hi"), {"role": "tool", "content": "1"}]},
    "two answers": {"n": 2},
    "a schema that is none": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "nonsense"}}}
    },
    "a schema without a name": {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
    "embeddings": {"model": "databricks-gte-large-en"},
    "an agent of the Responses kind": {"model": "my-support-agent"},
    "an unknown endpoint": {"model": "system.ai.gpt-5"},
}


async def test_what_a_model_does_not_take_is_refused_by_name(http: httpx.AsyncClient) -> None:
    base = {"model": CLAUDE, "messages": asked("Hi")}
    answers = {name: await http.post(CHAT, json=base | REFUSED[name]) for name in REFUSED}
    assert {
        name: textwrap.wrap(f"{answer.status_code} {' '.join(map(str, answer.json().values()))}", 96)
        for name, answer in answers.items()
    } == snapshot(
        {
            "parallel_tool_calls": ["400 BAD_REQUEST parallel_tool_calls: Extra inputs are not permitted"],
            "service_tier": ["400 BAD_REQUEST service_tier: Extra inputs are not permitted"],
            "an unknown field": ["400 BAD_REQUEST reasoning: Extra inputs are not permitted"],
            "strict for Claude": ["400 BAD_REQUEST tools.0.function.strict: Extra inputs are not permitted"],
            "a custom tool": ["400 BAD_REQUEST Missing 'function' in the tool specification: tools[0]"],
            "a hosted tool": ["400 BAD_REQUEST Missing 'function' in the tool specification: tools[0]"],
            "a flat tool": ["400 BAD_REQUEST Missing 'function' in the tool specification: tools[0]"],
            "a choice of nothing": [
                '400 BAD_REQUEST {"error": {"message": "Tool choice \'x\' not found in \'tools\' parameter.", "type":',
                '"invalid_request_error", "param": "tool_choice", "code": null}}',
            ],
            "empty content": ["400 BAD_REQUEST messages.1: text content blocks must be non-empty"],
            "an empty part": ["400 BAD_REQUEST messages.0: text content blocks must be non-empty"],
            "effort for Claude": ["400 BAD_REQUEST reasoning_effort: Extra inputs are not permitted"],
            "thoughts longer than the answer": [
                "400 BAD_REQUEST `max_tokens` must be greater than `thinking.budget_tokens`."
            ],
            "thinking of another": ["400 BAD_REQUEST thinking: Extra inputs are not permitted"],
            "effort of one that does not think": [
                "400 BAD_REQUEST Model databricks-meta-llama-3-3-70b-instruct does not support the",
                "reasoning_effort parameter.",
            ],
            "a picture for one that cannot see": [
                "400 BAD_REQUEST Model databricks-meta-llama-3-3-70b-instruct does not support image input."
            ],
            "a remote picture for Claude": [
                "400 BAD_REQUEST HTTP(S) image URLs are not supported for this model. Send base64-encoded image",
                "data.",
            ],
            "tools for GPT-5.4": [
                "400 BAD_REQUEST Model databricks-gpt-5-4 only supports the Responses API. Please use /serving-",
                "endpoints/responses instead.",
            ],
            "a codex model": [
                "400 BAD_REQUEST Model databricks-gpt-5-3-codex only supports the Responses API. Please use",
                "/serving-endpoints/responses instead.",
            ],
            "a pro model": [
                "400 BAD_REQUEST Model databricks-gpt-5-5-pro only supports the Responses API. Please use",
                "/serving-endpoints/responses instead.",
            ],
            "a call without Gemini's signature": [
                "400 BAD_REQUEST Function call is missing a thought_signature in functionCall parts. This is",
                "required for tools to work correctly. Additional data, function call `default_api:weather`.",
            ],
            "a call without an answer": [
                '400 BAD_REQUEST {"error": {"message": "No tool output found for function call call_1.", "type":',
                '"invalid_request_error", "param": "input", "code": null}}',
            ],
            "an answer to nothing": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'messages[1].tool_call_id': Missing required",
                "parameter: 'messages[1].tool_call_id'.",
            ],
            "two answers": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'n': Input should be less than or equal to 1."
            ],
            "a schema that is none": [
                '400 BAD_REQUEST {"error": {"message": "Invalid schema for response_format \'s\': At $.type:',
                '\'nonsense\' is not valid under any of the given schemas", "type": "invalid_request_error",',
                '"param": "text.format.schema", "code": "invalid_json_schema"}}',
            ],
            "a schema without a name": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'response_format.json_schema.name': Missing",
                "required parameter: 'response_format.json_schema.name'.",
            ],
            "embeddings": [
                "400 INVALID_PARAMETER_VALUE API type 'mlflow/v1/chat/completions' is not supported by",
                "'databricks-gte-large-en'. Supported API types: [mlflow/v1/embeddings]",
            ],
            "an agent of the Responses kind": [
                "400 INVALID_PARAMETER_VALUE API type 'mlflow/v1/chat/completions' is not supported by 'my-",
                "support-agent'. Supported API types: [openai/v1/responses]",
            ],
            "an unknown endpoint": [
                "404 ENDPOINT_NOT_FOUND The endpoint 'system.ai.gpt-5' does not exist, or you have no permission",
                "to see it.",
            ],
        }
    )


async def test_an_external_model_takes_what_its_provider_takes(http: httpx.AsyncClient) -> None:
    body = {"model": "my-openai-external", "messages": asked("Hi"), "store": True, "anything": 1}
    assert (await http.post(CHAT, json=body)).status_code == 200


async def test_gpt_5_4_chats_as_long_as_it_has_no_tools(official: AsyncOpenAI) -> None:
    answer = await official.chat.completions.create(model="databricks-gpt-5-4", messages=asked("[[say Hi]]"))
    assert answer.choices[0].message.content == "Hi"


@pytest.mark.parametrize(
    ("fault", "last"),
    [("error_chunk:2", '{"error":"The embedded workspace was told to fail."}'), ("no_terminal", "usage")],
)
async def test_a_stream_can_end_wrongly(http: httpx.AsyncClient, fault: str, last: str) -> None:
    body = {"model": CLAUDE, "messages": asked("[[words 9]]"), "stream": True}
    answer = await http.post(CHAT, json=body, headers={"x-emulator-fault": fault})
    assert last in lines(answer)[-1]


async def test_a_broken_chunk_is_in_the_middle_of_good_ones(http: httpx.AsyncClient) -> None:
    body = {"model": CLAUDE, "messages": asked("[[words 9]]"), "stream": True}
    data = lines(await http.post(CHAT, json=body, headers={"x-emulator-fault": "malformed:2+slow:3"}))
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(data[2])
    assert data[-1] == "[DONE]"


@pytest.mark.parametrize("fault", ["cut:2", "close"])
async def test_a_stream_can_be_cut(http: httpx.AsyncClient, fault: str) -> None:
    body = {"model": CLAUDE, "messages": asked("Hi"), "stream": True}
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post(CHAT, json=body, headers={"x-emulator-fault": fault})


async def test_an_engine_that_fails_says_so_in_the_stream_and_as_a_status(http: httpx.AsyncClient) -> None:
    body = {"model": CLAUDE, "messages": asked("[[fail]] one two three four")}
    assert (await http.post(CHAT, json=body)).status_code == 500
    data = lines(await http.post(CHAT, json={**body, "stream": True}))
    assert "INTERNAL_ERROR" in json.loads(data[-2])["error"]


async def test_every_request_is_in_the_journal(official: AsyncOpenAI, emulator: RunningEmulator) -> None:
    await official.chat.completions.create(model=CLAUDE, messages=asked("Hi"))
    (exchange,) = emulator.state.request_log.exchanges
    assert (exchange.path, exchange.body["model"], exchange.status) == (CHAT, CLAUDE, 200)


COMPLETIONS = "/serving-endpoints/completions"


async def test_a_prompt_is_completed_whole_and_streamed(official: AsyncOpenAI) -> None:
    whole = await official.completions.create(model=LLAMA, prompt="[[words 20]]", max_tokens=12)
    stream = await official.completions.create(model=LLAMA, prompt="[[words 20]]", max_tokens=12, stream=True)
    chunks = [chunk async for chunk in stream]
    assert (whole.object, whole.choices[0].finish_reason) == ("text_completion", "length")
    assert whole.choices[0].text.startswith("word1 word2")
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage


async def test_a_chat_agent_answers_messages_there(http: httpx.AsyncClient) -> None:
    body = {"model": "my-chat-agent", "messages": asked("[[say Hi]]")}
    whole = (await http.post(COMPLETIONS, json=body)).json()
    chunks = [json.loads(line) for line in lines(await http.post(COMPLETIONS, json={**body, "stream": True}))[:-1]]
    assert [message["content"] for message in whole["messages"]] == ["Hi"]
    assert "".join(chunk["delta"]["content"] for chunk in chunks) == "Hi"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert isinstance(whole["id"], str)


@pytest.mark.parametrize(
    "body",
    [
        {"model": CLAUDE, "prompt": "Hi"},
        {"model": LLAMA},
        {"model": LLAMA, "prompt": ""},
        {"model": LLAMA, "prompt": ["Hi"]},
        {"model": LLAMA, "messages": []},
        {"model": "my-support-agent", "prompt": "Hi"},
    ],
)
async def test_what_is_no_completion_is_refused(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await http.post(COMPLETIONS, json=body)
    assert (answer.status_code, sorted(answer.json())) == (400, ["error_code", "message"])


async def test_a_streamed_answer_that_only_calls_has_no_content(http: httpx.AsyncClient) -> None:
    body = {"model": CLAUDE, "messages": asked("Rome?"), "tools": [TOOL], "stream": True}
    chunks = [json.loads(line) for line in lines(await http.post(CHAT, json=body))[:-1]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    call = deltas[0]["tool_calls"][0]
    assert (deltas[0]["role"], deltas[0]["content"], call["function"]) == (
        "assistant",
        None,
        {"name": "weather", "arguments": ""},
    )
    assert [delta for delta in deltas if delta.get("content") is not None] == []
