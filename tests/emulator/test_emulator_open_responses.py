"""Open Responses: the models of all makers answer there, with function tools and nothing that only OpenAI has."""

import textwrap
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot
from openai import AsyncOpenAI, AsyncStream, BadRequestError
from openai.types.responses import Response, ResponseStreamEvent

from databricks_workspace_emulator.server import RunningEmulator
from oracle import openai_spec

pytestmark = pytest.mark.anyio

OPEN = "/serving-endpoints/open-responses"
CLAUDE = "databricks-claude-sonnet-4-5"
GEMINI = "databricks-gemini-3-1-pro"
USER = {"role": "user", "content": "Hi"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
DATA_URL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def shown(url: str) -> list[dict[str, Any]]:
    """A question with a picture."""
    return [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]


ANSWERING = [
    CLAUDE,
    GEMINI,
    "databricks-gpt-oss-120b",
    "databricks-qwen3-next-80b-a3b-instruct",
    "databricks-meta-llama-3-3-70b-instruct",
    "databricks-grok-4-7",
    "databricks-gpt-5",
]


@pytest.mark.parametrize("model", ANSWERING)
async def test_the_official_client_is_answered_by_every_maker_whole_and_streamed(
    official: AsyncOpenAI, emulator: RunningEmulator, model: str
) -> None:
    body = {"model": model, "input": "[[say Hello]]", "tools": [FUNCTION], "tool_choice": "none"}
    whole = await official.post("/open-responses", body=body, cast_to=Response)
    openai_spec.validate_response(whole.to_dict(mode="json"))
    stream = await official.post(
        "/open-responses",
        body={**body, "stream": True},
        cast_to=Response,
        stream=True,
        stream_cls=AsyncStream[ResponseStreamEvent],
    )
    events = [event async for event in stream]
    for event in events:
        openai_spec.validate_event(event.to_dict(mode="json"))
    assert (whole.output_text, events[-1].type) == ("Hello", "response.completed")
    assert [exchange.path for exchange in emulator.state.request_log.exchanges] == [OPEN, OPEN]


REFUSED: dict[str, dict[str, Any]] = {
    "web search": {"tools": [{"type": "web_search"}]},
    "a custom tool of OpenAI's own": {"model": "databricks-gpt-5", "tools": [{"type": "custom", "name": "c"}]},
    "what the model wrote, as it came": {
        "input": [USER, {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}, USER]
    },
    "reasoning": {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}, USER]},
    "a hosted tool's item": {"input": [{"type": "web_search_call", "id": "ws_1", "action": {}}, USER]},
    "the assistant last": {"input": [USER, {"role": "assistant", "content": "I"}]},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "store": {"store": True},
    "include": {"include": ["reasoning.encrypted_content"]},
    "service_tier": {"service_tier": "priority"},
    "reasoning of one that cannot": {
        "model": "databricks-meta-llama-3-3-70b-instruct",
        "reasoning": {"effort": "low"},
    },
    "a picture for one that cannot see": {
        "model": "databricks-meta-llama-3-3-70b-instruct",
        "input": shown(DATA_URL),
    },
    "a remote picture for Claude": {"input": shown("https://pictures.example/cat.png")},
    "a call without Gemini's signature": {"model": GEMINI, "input": [USER, CALL, OUTPUT]},
    "an old model": {"model": "databricks-meta-llama-3-1-8b-instruct"},
    "a Responses-only model": {"model": "databricks-gpt-5-3-codex"},
    "an external model": {"model": "my-openai-external"},
    "an agent": {"model": "my-support-agent"},
    "no input": {"input": None},
}


async def test_what_it_lacks_is_refused_by_name(http: httpx.AsyncClient) -> None:
    answers = {name: await http.post(OPEN, json={"model": CLAUDE, "input": "Hi"} | REFUSED[name]) for name in REFUSED}
    assert {
        name: textwrap.wrap(f"{answer.status_code} {' '.join(map(str, answer.json().values()))}", 96)
        for name, answer in answers.items()
    } == snapshot(
        {
            "web search": [
                "400 INVALID_PARAMETER_VALUE Tool type 'web_search' (tools[0].type) is not supported by the Open",
                "Responses API. Supported tool types: function.",
            ],
            "a custom tool of OpenAI's own": [
                "400 INVALID_PARAMETER_VALUE Tool type 'custom' (tools[0].type) is not supported by the Open",
                "Responses API. Supported tool types: function.",
            ],
            "what the model wrote, as it came": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[1].content[0].type': Invalid value:",
                "'output_text'. Supported values are: input_text, input_image, input_file.",
            ],
            "reasoning": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[0].type': Items of type 'reasoning' are not",
                "supported as input; use message, function_call, function_call_output.",
            ],
            "a hosted tool's item": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[0].type': Items of type 'web_search_call'",
                "are not supported as input; use message, function_call, function_call_output.",
            ],
            "the assistant last": [
                "400 BAD_REQUEST This model does not support assistant message prefill. The conversation must end",
                "with a user message.",
            ],
            "previous_response_id": [
                "400 INVALID_PARAMETER_VALUE The parameter 'previous_response_id' is not supported for pay-per-",
                "token endpoints: responses are not stored; send the whole conversation as 'input'.",
            ],
            "store": [
                "400 INVALID_PARAMETER_VALUE The parameter 'store' is not supported for pay-per-token endpoints:",
                "responses are not stored.",
            ],
            "include": [
                "400 BAD_REQUEST The parameter 'include' is not supported for model databricks-claude-sonnet-4-5."
            ],
            "service_tier": [
                "400 BAD_REQUEST The parameter 'service_tier' is not supported for model databricks-claude-",
                "sonnet-4-5.",
            ],
            "reasoning of one that cannot": [
                "400 BAD_REQUEST Model databricks-meta-llama-3-3-70b-instruct does not support the reasoning",
                "parameter.",
            ],
            "a picture for one that cannot see": [
                "400 BAD_REQUEST Model databricks-meta-llama-3-3-70b-instruct does not support image input."
            ],
            "a remote picture for Claude": [
                "400 BAD_REQUEST HTTP(S) image URLs are not supported for this model. Send base64-encoded image",
                "data.",
            ],
            "a call without Gemini's signature": [
                "400 BAD_REQUEST Function call is missing a thought_signature in functionCall parts. This is",
                "required for tools to work correctly. Additional data, function call `default_api:f`, position",
                "1.",
            ],
            "an old model": ["500 INTERNAL_ERROR Internal error."],
            "a Responses-only model": [
                "400 INVALID_PARAMETER_VALUE API type 'mlflow/v1/responses' is not supported by 'databricks-",
                "gpt-5-3-codex'. Supported API types: [openai/v1/responses, cursor/v1/chat/completions]",
            ],
            "an external model": [
                "400 INVALID_PARAMETER_VALUE API type 'mlflow/v1/responses' is not supported by 'my-openai-",
                "external'. Supported API types: [openai/v1/responses, mlflow/v1/chat/completions]",
            ],
            "an agent": [
                "400 INVALID_PARAMETER_VALUE API type 'mlflow/v1/responses' is not supported by 'my-support-",
                "agent'. Supported API types: [openai/v1/responses]",
            ],
            "no input": ["400 INVALID_PARAMETER_VALUE Invalid parameter 'input': Missing required parameter: 'input'."],
        }
    )


@pytest.mark.parametrize("ignored", ["user", "safety_identifier", "metadata", "truncation"])
async def test_what_is_taken_and_ignored_of_others_is_kept_of_openai(http: httpx.AsyncClient, ignored: str) -> None:
    values = {"user": "u", "safety_identifier": "s", "metadata": {"a": "b"}, "truncation": "auto"}
    body = {"input": "Hi", ignored: values[ignored]}
    claude, gpt = [
        (await http.post(OPEN, json={"model": model, **body})).json() for model in (CLAUDE, "databricks-gpt-5")
    ]
    assert claude["status"] == gpt["status"] == "completed"
    if ignored != "user":
        assert (claude[ignored] == values[ignored], gpt[ignored] == values[ignored]) == (False, True)


async def test_a_conversation_goes_on_once_it_is_rewritten(http: httpx.AsyncClient) -> None:
    history = [USER, {"role": "assistant", "content": [{"type": "input_text", "text": "Hello"}]}, CALL, OUTPUT]
    body = {"model": CLAUDE, "input": [*history, {"role": "user", "content": "[[echo]]"}], "tools": [FUNCTION]}
    answer = (await http.post(OPEN, json={**body, "tool_choice": "none"})).json()
    assert answer["output"][-1]["content"][0]["text"].split("], ") == snapshot(
        [
            '[["user", "Hi"',
            '["assistant", "Hello"',
            '["assistant", "[tool] calls f with {}"',
            '["user", "[tool] f gave: 1"',
            '["user", "[[echo]]"]]',
        ]
    )


async def test_gemini_takes_its_signed_call_back(http: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"model": GEMINI, "input": [USER], "tools": [FUNCTION]}
    (call,) = (await http.post(OPEN, json=body)).json()["output"]
    call = {key: value for key, value in call.items() if key != "id"}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "1"}
    second = (await http.post(OPEN, json={**body, "input": [USER, call, output]})).json()
    assert (call["type"], second["output"][0]["type"]) == ("function_call", "message")


async def test_a_model_that_thinks_is_asked_to_and_its_pictures_are_data(http: httpx.AsyncClient) -> None:
    body = {"model": CLAUDE, "input": shown(DATA_URL), "reasoning": {"effort": "low", "summary": "auto"}}
    answer = (await http.post(OPEN, json=body)).json()
    assert [item["type"] for item in answer["output"]] == ["reasoning", "message"]
    assert "GIF" in answer["output"][1]["content"][0]["text"]


async def test_the_surface_can_be_missing(http: httpx.AsyncClient, emulator: RunningEmulator) -> None:
    emulator.state.switches.open_responses = False
    assert (await http.post(OPEN, json={"model": CLAUDE, "input": "Hi"})).status_code == 404


async def test_faults_are_as_on_the_native_path(official: AsyncOpenAI, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("body:guardrail")
    with pytest.raises(BadRequestError, match="input_guardrail"):
        await official.post("/open-responses", body={"model": CLAUDE, "input": "Hi"}, cast_to=Response)
