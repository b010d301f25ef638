"""What the workspace refuses, and in which words."""

import json
import textwrap
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
from oracle import openai_spec

pytestmark = pytest.mark.anyio

USER = {"type": "message", "role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {"type": "json_schema", "name": "s", "strict": True}

REFUSED: dict[str, dict[str, Any]] = {
    "no model": {"model": None},
    "no input": {"input": None},
    "empty input": {"input": []},
    "unknown endpoint": {"model": "databricks-gpt-99"},
    "an endpoint that is not ready": {"model": "databricks-gpt-oss-20b"},
    "background": {"background": True},
    "store": {"store": False},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "conversation": {"conversation": "conv_1"},
    "flex tier": {"service_tier": "flex"},
    "unknown parameter": {"reasoningSummary": "auto"},
    "text for a number": {"max_output_tokens": "100"},
    "too few tokens": {"max_output_tokens": 1},
    "a number for text": {"instructions": 5},
    "too hot": {"temperature": 2.5},
    "unknown effort": {"reasoning": {"effort": "colossal"}},
    "unknown include": {"include": ["everything"]},
    "claude": {"model": "databricks-claude-sonnet-4-5"},
    "llama": {"model": "databricks-meta-llama-3-3-70b-instruct"},
    "embeddings": {"model": "databricks-gte-large-en"},
    "external without the surface": {"model": "my-anthropic-external"},
    "unknown item type": {"input": [{"type": "hologram"}]},
    "item reference": {"input": [{"type": "item_reference", "id": "msg_1"}]},
    "unknown part type": {"input": [{**USER, "content": [{"type": "text", "text": "Hi"}]}]},
    "assistant with input_text": {
        "input": [{"role": "assistant", "content": [{"type": "input_text", "text": "Hi"}]}, USER]
    },
    "part without text": {"input": [{**USER, "content": [{"type": "input_text"}]}]},
    "picture that is none": {
        "input": [{**USER, "content": [{"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="}]}]
    },
    "picture that is not base64": {
        "input": [{**USER, "content": [{"type": "input_image", "image_url": "data:image/png;base64,%%%"}]}]
    },
    "stored file": {"input": [{**USER, "content": [{"type": "input_file", "file_id": "file_1"}]}]},
    "long id": {"input": [USER, {**CALL, "id": "fc_" + "a" * 62}, OUTPUT]},
    "long call_id": {"input": [USER, {**CALL, "call_id": "c" * 65}, {**OUTPUT, "call_id": "c" * 65}]},
    "call without output": {"input": [USER, CALL]},
    "output without call": {"input": [USER, OUTPUT]},
    "approval without request": {
        "input": [USER, {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}]
    },
    "foreign reasoning": {
        "input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, USER]
    },
    "file_search": {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "code_interpreter": {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    "tool without type": {"tools": [{"name": "f"}]},
    "function with a space": {"tools": [{**FUNCTION, "name": "my function"}]},
    "same name twice": {"tools": [FUNCTION, FUNCTION]},
    "strict function without required": {
        "tools": [
            {
                **FUNCTION,
                "strict": True,
                "parameters": {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            }
        ]
    },
    "strict format without additionalProperties": {"text": {"format": {**SCHEMA, "schema": {"type": "object"}}}},
    "format without schema": {"text": {"format": SCHEMA}},
    "custom tool for a mini": {"model": "databricks-gpt-5-mini", "tools": [{"type": "custom", "name": "c"}]},
    "custom tool for codex": {"model": "databricks-gpt-5-3-codex", "tools": [{"type": "custom", "name": "c"}]},
    "grammar without definition": {"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar"}}]},
    "frames of a png": {"tools": [{"type": "image_generation", "frame_count": 3}]},
    "previews of a gif": {"tools": [{"type": "image_generation", "output_format": "gif", "partial_images": 1}]},
    "author of a png": {"tools": [{"type": "image_generation", "svg": {"model": "gpt-6"}}]},
    "too many pixels": {"tools": [{"type": "image_generation", "size": "3840x3840"}]},
    "transparent jpeg": {"tools": [{"type": "image_generation", "background": "transparent", "output_format": "jpeg"}]},
    "odd size": {"tools": [{"type": "image_generation", "size": "1000x1001"}]},
    "mcp without url": {"tools": [{"type": "mcp", "server_label": "docs"}]},
    "choice of a tool that is not there": {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}},
    "required without tools": {"tool_choice": "required"},
    "stream options without stream": {"stream_options": {"include_obfuscation": False}},
}


def in_words(refusal: dict[str, str]) -> str:
    """A refusal in a line; an error of the model, which comes as JSON in the message, with its parameter and code."""
    assert set(refusal) == {"error_code", "message"}
    if refusal["error_code"] != "BAD_REQUEST":
        return f"{refusal['error_code']} {refusal['message']}"
    inner = json.loads(refusal["message"])["error"]
    assert inner["type"] == "invalid_request_error"
    return f"BAD_REQUEST [{inner['param']}, {inner['code']}] {inner['message']}"


def wrapped(text: str) -> list[str]:
    """Lines that a person can read in a diff."""
    return textwrap.wrap(text, 90, break_long_words=False, break_on_hyphens=False)


async def test_each_broken_rule_is_refused_by_name(http: httpx.AsyncClient) -> None:
    answers: dict[str, list[str]] = {}
    for name, change in REFUSED.items():
        body = {"model": "databricks-gpt-5", "input": "Hello"} | change
        body = {key: value for key, value in body.items() if value is not None}
        response = await http.post("/serving-endpoints/responses", json=body)
        answers[name] = wrapped(f"{response.status_code} {in_words(response.json())}")
    assert answers == snapshot(
        {
            "no model": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'model': Missing required parameter:",
                "'model'.",
            ],
            "no input": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input': Missing required parameter:",
                "'input'.",
            ],
            "empty input": [
                "400 BAD_REQUEST [input, None] One of 'input', 'previous_response_id' or 'prompt' must be",
                "provided.",
            ],
            "unknown endpoint": [
                "404 ENDPOINT_NOT_FOUND The endpoint 'databricks-gpt-99' does not exist, or you have no",
                "permission to see it.",
            ],
            "an endpoint that is not ready": [
                "503 TEMPORARILY_UNAVAILABLE The endpoint 'databricks-gpt-oss-20b' is not ready yet. Please",
                "try again later.",
            ],
            "background": [
                "400 INVALID_PARAMETER_VALUE The parameter 'background' is not supported for pay-per-token",
                "endpoints: background processing is not available.",
            ],
            "store": [
                "400 INVALID_PARAMETER_VALUE The parameter 'store' is not supported for pay-per-token",
                "endpoints: responses are not stored.",
            ],
            "previous_response_id": [
                "400 INVALID_PARAMETER_VALUE The parameter 'previous_response_id' is not supported for",
                "pay-per-token endpoints: responses are not stored; send the whole conversation as 'input'.",
            ],
            "conversation": [
                "400 INVALID_PARAMETER_VALUE The parameter 'conversation' is not supported for",
                "pay-per-token endpoints: conversations are not stored; send the whole conversation as",
                "'input'.",
            ],
            "flex tier": [
                "400 INVALID_PARAMETER_VALUE The parameter 'service_tier' is managed by Databricks for",
                "pay-per-token endpoints; 'flex' is not one of auto, default, priority.",
            ],
            "unknown parameter": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'reasoningSummary': Unknown parameter:",
                "'reasoningSummary'.",
            ],
            "text for a number": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'max_output_tokens': Input should be a valid",
                "integer.",
            ],
            "too few tokens": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'max_output_tokens': Input should be greater",
                "than or equal to 16.",
            ],
            "a number for text": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'instructions': Input should be a valid",
                "string.",
            ],
            "too hot": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'temperature': Input should be less than or",
                "equal to 2.",
            ],
            "unknown effort": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'reasoning.effort': Input should be 'none',",
                "'minimal', 'low', 'medium', 'high', 'xhigh' or 'max'.",
            ],
            "unknown include": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'include[0]': Input should be",
                "'file_search_call.results', 'web_search_call.results', 'web_search_call.action.sources',",
                "'message.input_image.image_url', 'computer_call_output.output.image_url',",
                "'code_interpreter_call.outputs', 'reasoning.encrypted_content' or",
                "'message.output_text.logprobs'.",
            ],
            "claude": [
                "400 INVALID_PARAMETER_VALUE API type 'openai/v1/responses' is not supported by",
                "'databricks-claude-sonnet-4-5'. Supported API types: [anthropic/v1/messages,",
                "mlflow/v1/responses, mlflow/v1/chat/completions]",
            ],
            "llama": [
                "400 INVALID_PARAMETER_VALUE API type 'openai/v1/responses' is not supported by",
                "'databricks-meta-llama-3-3-70b-instruct'. Supported API types: [mlflow/v1/responses,",
                "mlflow/v1/chat/completions]",
            ],
            "embeddings": [
                "400 INVALID_PARAMETER_VALUE API type 'openai/v1/responses' is not supported by",
                "'databricks-gte-large-en'. Supported API types: [mlflow/v1/embeddings]",
            ],
            "external without the surface": [
                "400 INVALID_PARAMETER_VALUE Native_api_type=openai/v1/responses is not supported for",
                "provider Amazon Bedrock",
            ],
            "unknown item type": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[0].type': Invalid value: 'hologram'.",
                "Supported values are: message, reasoning, function_call, function_call_output,",
                "custom_tool_call, custom_tool_call_output, apply_patch_call, apply_patch_call_output,",
                "shell_call, shell_call_output, image_generation_call, web_search_call, mcp_list_tools,",
                "mcp_call, mcp_approval_request, mcp_approval_response, compaction.",
            ],
            "item reference": [
                "400 BAD_REQUEST [input[0], None] Item with id 'msg_1' not found. Items are not stored:",
                "send the item itself.",
            ],
            "unknown part type": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[0].content[0].type': Invalid value:",
                "'text'. Supported values are: input_text, input_image, input_file.",
            ],
            "assistant with input_text": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[0].content[0].type': Invalid value:",
                "'input_text'. Supported values are: output_text, refusal.",
            ],
            "part without text": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[0].content[0].text': Missing required",
                "parameter: 'input[0].content[0].text'.",
            ],
            "picture that is none": [
                "400 BAD_REQUEST [input[0].content[0].image_url, image_parse_error] The image data you",
                "provided does not represent a valid image. Supported are PNG, JPEG, WEBP and GIF without",
                "animation.",
            ],
            "picture that is not base64": [
                "400 BAD_REQUEST [input[0].content[0].image_url, invalid_base64] Invalid",
                "'input[0].content[0].image_url'. Expected base64 data.",
            ],
            "stored file": [
                "400 BAD_REQUEST [input[0].content[0].file_id, None] No file with id 'file_1': files are",
                "not stored.",
            ],
            "long id": [
                "400 BAD_REQUEST [input[1].id, string_above_max_length] Invalid 'input[1].id': string too",
                "long. Expected a string with maximum length 64, but got a string with length 65 instead.",
            ],
            "long call_id": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'input[1].call_id': String should have at",
                "most 64 characters.",
            ],
            "call without output": ["400 BAD_REQUEST [input, None] No tool output found for function call call_1."],
            "output without call": [
                "400 BAD_REQUEST [input, None] No tool call found for function call output with call_id",
                "call_1.",
            ],
            "approval without request": ["400 BAD_REQUEST [input, None] No approval request found with id mcpr_1."],
            "foreign reasoning": [
                "400 BAD_REQUEST [input, invalid_encrypted_content] The encrypted content for item rs_1",
                "could not be verified.",
            ],
            "file_search": [
                "400 INVALID_PARAMETER_VALUE Tool type 'file_search' (tools[0].type) is not supported for",
                "pay-per-token endpoints. Supported tool types: function, custom, apply_patch, shell,",
                "image_generation, mcp, web_search.",
            ],
            "code_interpreter": [
                "400 INVALID_PARAMETER_VALUE Tool type 'code_interpreter' (tools[0].type) is not supported",
                "for pay-per-token endpoints. Supported tool types: function, custom, apply_patch, shell,",
                "image_generation, mcp, web_search.",
            ],
            "tool without type": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'tools[0].type': Missing required parameter:",
                "'tools[0].type'.",
            ],
            "function with a space": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'tools[0].name': String should match pattern",
                "'^[a-zA-Z0-9_-]+$'.",
            ],
            "same name twice": ["400 BAD_REQUEST [tools, None] Two tools have the same name."],
            "strict function without required": [
                "400 BAD_REQUEST [tools[0].parameters, invalid_function_parameters] Invalid schema for",
                "function 'f': In context=(), 'required' is required to be supplied and to be an array",
                "including every key in properties. Missing 'a'.",
            ],
            "strict format without additionalProperties": [
                "400 BAD_REQUEST [text.format.schema, invalid_json_schema] Invalid schema for",
                "response_format 's': In context=(), 'additionalProperties' is required to be supplied and",
                "to be false.",
            ],
            "format without schema": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'text.format.schema': Missing required",
                "parameter: 'text.format.schema'.",
            ],
            "custom tool for a mini": [
                "400 INVALID_PARAMETER_VALUE Custom tools (tools[0]) are not supported by",
                "databricks-gpt-5-mini: they need a model of the GPT-5 series.",
            ],
            "custom tool for codex": [
                "400 INVALID_PARAMETER_VALUE Custom tools (tools[0]) are not supported by",
                "databricks-gpt-5-3-codex: they need a model of the GPT-5 series.",
            ],
            "grammar without definition": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'tools[0].format': A grammar needs 'syntax'",
                "and 'definition'.",
            ],
            "frames of a png": [
                "400 BAD_REQUEST [tools[0].frame_count, None] 'frame_count' requires output_format 'gif'."
            ],
            "previews of a gif": [
                "400 BAD_REQUEST [tools[0].partial_images, None] 'partial_images' is not supported for",
                "output_format 'gif'.",
            ],
            "author of a png": ["400 BAD_REQUEST [tools[0].svg, None] 'svg' requires output_format 'svg'."],
            "too many pixels": [
                "400 BAD_REQUEST [tools[0].size, None] Invalid value: '3840x3840'. Supported are 'auto' and",
                "WIDTHxHEIGHT, both multiples of 16 up to 3840x2160, at most 3 to 1.",
            ],
            "transparent jpeg": [
                "400 BAD_REQUEST [tools[0].background, None] Transparent background needs output_format png",
                "or webp.",
            ],
            "odd size": [
                "400 BAD_REQUEST [tools[0].size, None] Invalid value: '1000x1001'. Supported are 'auto' and",
                "WIDTHxHEIGHT, both multiples of 16 up to 3840x2160, at most 3 to 1.",
            ],
            "mcp without url": [
                "400 INVALID_PARAMETER_VALUE Invalid parameter 'tools[0].server_url': Missing required",
                "parameter: 'tools[0].server_url'.",
            ],
            "choice of a tool that is not there": [
                "400 BAD_REQUEST [tool_choice, None] Tool choice 'g' not found in 'tools' parameter."
            ],
            "required without tools": [
                "400 BAD_REQUEST [tool_choice, None] Tool choice 'required' must be specified with 'tools'",
                "parameter.",
            ],
            "stream options without stream": [
                "400 BAD_REQUEST [stream_options, None] The 'stream_options' parameter needs 'stream' to be",
                "true.",
            ],
        }
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b'{"model": "databricks-gpt-5", "input": "\\ud800'],
    ids=repr,
)
async def test_a_body_that_is_no_json_object_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    response = await http.post("/serving-endpoints/responses", content=body)
    assert (response.status_code, set(response.json())) == (400, {"error_code", "message"})


async def test_a_body_nested_deeper_than_any_parser_goes_is_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/serving-endpoints/responses", content=b"[" * 200_000)
    assert response.status_code == 400


@pytest.mark.parametrize("tier", ["auto", "default", "priority"])
async def test_documented_service_tiers_pass(http: httpx.AsyncClient, tier: str) -> None:
    body = {"model": "databricks-gpt-5", "input": "Hello", "service_tier": tier}
    response = await http.post("/serving-endpoints/responses", json=body)
    assert response.json()["service_tier"] == ("default" if tier == "auto" else tier)


async def test_external_models_take_what_pay_per_token_ones_refuse(http: httpx.AsyncClient) -> None:
    first = await http.post(
        "/serving-endpoints/responses",
        json={
            "model": "my-openai-external",
            "input": "My name is Ada.",
            "store": True,
            "service_tier": "flex",
            "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}],
        },
    )
    openai_spec.validate_response(first.json())
    second = await http.post(
        "/serving-endpoints/responses",
        json={
            "model": "my-openai-external",
            "input": "[[echo]]",
            "previous_response_id": first.json()["id"],
        },
    )
    assert "My name is Ada." in second.json()["output"][0]["content"][0]["text"]
    unknown = await http.post(
        "/serving-endpoints/responses",
        json={"model": "my-openai-external", "input": "Hi", "previous_response_id": "resp_none"},
    )
    assert unknown.status_code == 404


async def test_a_request_above_the_size_limit_is_refused_in_the_documented_words(
    http: httpx.AsyncClient, emulator: RunningEmulator
) -> None:
    emulator.state.max_request_bytes = 1000
    body = {"model": "databricks-gpt-5", "input": "x" * 1000}
    response = await http.post("/serving-endpoints/responses", json=body)
    size = response.request.headers["content-length"]
    assert response.status_code == 400
    assert response.json()["message"] == (
        f"Server received a request which exceeds maximum allowed content length. RequestSize(bytes): {size}, "
        "Limit(bytes): 1000"
    )


async def test_long_ids_that_were_shortened_and_everything_else_can_be_sent_back(http: httpx.AsyncClient) -> None:
    tools = [
        FUNCTION,
        {"type": "custom", "name": "run_code"},
        {"type": "apply_patch"},
        {"type": "shell"},
        {"type": "web_search"},
        {"type": "image_generation", "size": "16x16"},
        {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp", "require_approval": "never"},
    ]
    body: dict[str, Any] = {
        "model": "databricks-gpt-5",
        "input": [USER],
        "tools": tools,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    first = (await http.post("/serving-endpoints/responses", json=body)).json()
    outputs = {
        "function_call": {"output": "42"},
        "custom_tool_call": {"output": [{"type": "input_text", "text": "ran"}]},
        "apply_patch_call": {"status": "completed", "output": "applied"},
        "shell_call": {"output": [{"stdout": "ok", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
    }
    replayed = [{**item, "id": item["id"][:64]} for item in first["output"]]
    answers = [
        {"type": f"{item['type']}_output", "call_id": item["call_id"], **outputs[item["type"]]}
        for item in first["output"]
        if item["type"] in outputs
    ]
    second = await http.post("/serving-endpoints/responses", json={**body, "input": [USER, *replayed, *answers]})
    assert [item["type"] for item in first["output"]] == snapshot(
        [
            "reasoning",
            "web_search_call",
            "image_generation_call",
            "mcp_list_tools",
            "mcp_call",
            "function_call",
            "custom_tool_call",
            "apply_patch_call",
            "shell_call",
        ]
    )
    assert [item["type"] for item in second.json()["output"]] == snapshot(["reasoning", "message"])
    assert second.json()["output"][-1]["content"][0]["text"] == snapshot("""\
No model was asked: this is the embedded workspace's rule engine.
You sent 2 characters in 1 word, beginning: “Hi”
[tool] f gave: 42
[tool] run_code gave: ran
[tool] apply_patch_call gave: applied
[tool] shell_call gave: ok\
""")


async def test_a_retired_model_is_told_from_one_that_never_was(post: Any) -> None:
    retired, unknown = [await post(model=f"databricks-{name}") for name in ("gpt-5-2-codex", "gpt-5-99")]
    assert (retired.status_code, unknown.status_code) == (404, 404)
    assert (retired.json()["error_code"], unknown.json()["error_code"]) == ("NOT_FOUND", "ENDPOINT_NOT_FOUND")
    assert retired.json()["message"].startswith("Pay-per-token for this model is disabled.")
