import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode, Feature, Reason
from databricks_responses_mcp.workspace.api_error_rules import RULES, find_rule
from databricks_responses_mcp.workspace.api_errors import event_error, matched_text, upstream_error
from databricks_responses_mcp.workspace.error_bodies import parse_error_body, parse_error_value

HOST = "https://dbc-a1.cloud.databricks.com"
MODEL = "databricks-gpt-5"


@dataclass(frozen=True)
class Answer:
    status: int
    body: object = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def raw(answer: Answer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    return (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()


def explain(answer: Answer, model: str | None = MODEL) -> BridgeError:
    return upstream_error(status=answer.status, headers=answer.headers, body=raw(answer), model=model, host=HOST)


def openai(message: str, *, code: str | None = None, param: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def nested(inner: object) -> dict[str, object]:
    return {"error_code": "BAD_REQUEST", "message": json.dumps(inner)}


SHAPES = {
    "documented 429": Answer(
        429,
        {
            "error": {
                "message": "Rate limit exceeded: ITPM limit of 200,000 tokens reached",
                "type": "rate_limit_exceeded",
                "code": 429,
                "limit_type": "input_tokens_per_minute",
                "limit": 200000,
                "current": 200150,
                "retry_after": 15,
            }
        },
        {"Retry-After": "3", "X-Request-Id": "0f7e-1"},
    ),
    "nested JSON string": Answer(400, nested(openai("Bad 'size' value.", param="size"))),
    "doubly nested": Answer(400, nested({"message": json.dumps(openai("Deep cause."))})),
    "nested after a code": Answer(400, "BAD_REQUEST: " + json.dumps(openai("Told after a code."))),
    "openai shape": Answer(400, openai("You must provide a prompt.")),
    "error is text": Answer(400, {"error": "no prompt"}),
    "error code is a number": Answer(422, {"error": {"code": 422, "message": "Input is empty"}}),
    "message only": Answer(400, {"message": "Something is off"}),
    "text with a code": Answer(400, "MALFORMED_REQUEST: the body is not JSON"),
    "validation list": Answer(
        422, {"detail": [{"loc": ["body", "input"], "msg": "Field required", "type": "missing"}]}
    ),
    "a list": Answer(400, [{"error": {"message": "first"}}]),
    "a JSON string": Answer(400, '"only a string"'),
    "html with pre": Answer(500, "<html><body><h2>HTTP ERROR 500</h2><pre>    java.lang.Oops</pre></body></html>"),
    "html with title": Answer(502, "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>"),
    "html without words": Answer(503, "<html><body><div></div></body></html>"),
    "html inside JSON": Answer(500, {"message": "<html><title>Upstream broke</title></html>"}),
    "event stream": Answer(500, 'event: error\ndata: {"error": {"message": "mock failed", "code": "500"}}\n\n'),
    "event stream without error": Answer(500, 'data: {"type": "response.created"}\n\ndata: [DONE]\n\n'),
    "litellm": Answer(
        400, {"error": {"message": "Authentication Error", "type": "auth", "param": "None", "code": "400"}}
    ),
    "truncated JSON": Answer(400, '{"error": {"message": "cut o'),
    "not UTF-8": Answer(400, b"\xff\xfe broken"),
    "empty": Answer(500),
    "empty object": Answer(400, {}),
    "unknown status": Answer(599, {"message": "odd"}),
    "teapot": Answer(418),
    "page instead of JSON": Answer(200, "<!doctype html><title>Databricks - Sign In</title>"),
    "not JSON under 200": Answer(200, "ok"),
}

ECHOED = "{'input': [{'content': 'Error: content policy, maximum context length, reasoning effort not supported'}]}"
"""What a caller said, with marks of other errors in it; MLflow repeats the request."""

MARKS = {
    "schema of an agent": Answer(
        400,
        {
            "error_code": "INVALID_PARAMETER_VALUE",
            "message": f"Failed to predict data '{ECHOED}'. \nError: Failed to enforce schema of data '{ECHOED}' with "
            "schema '['reasoning': {effort: string (optional)}, 'tools': Array({type: string (required)})]'. "
            "Error: Invalid properties not defined in the schema found: {'name', 'parameters'}",
        },
    ),
    "input guardrail": Answer(
        400, nested({"usage": {}, "input_guardrail": [{"flagged": True, "categories": {"hate": True, "crime": False}}]})
    ),
    "output guardrail, list": Answer(
        400, nested({"output_guardrail": [{"flagged": True, "categories": ["violence", "hate"]}]})
    ),
    "guardrail, personal data": Answer(400, nested({"input_guardrail": [{"flagged": True, "pii_detection": True}]})),
    "redirect to login": Answer(303, "", {"location": "/login"}),
    "redirect to another host": Answer(307, "", {"location": "https://other.example:8443/serving-endpoints/x?token=a"}),
    "redirect to another path": Answer(308, "<html><title>Moved</title></html>", {"location": "/api/v2"}),
    "redirect to nowhere": Answer(301, "", {"location": "https://[x"}),
    "redirect without target": Answer(302),
    "tokens disabled": Answer(
        403, {"error_code": "PERMISSION_DENIED", "message": "API tokens are disabled for user 1234567890123456"}
    ),
    "tokens not allowed": Answer(401, {"message": "Personal access tokens are not allowed in this workspace."}),
    "page of a proxy": Answer(
        502,
        "<html><head><title>gw-17.corp.example: 502</title></head><body><h1>upstream 10.0.0.7:8443 failed</h1>"
        "<pre>at com.example.Gateway.forward(Gateway.java:42)</pre></body></html>",
    ),
    "page that refuses the token": Answer(403, "<html><body><pre>Invalid access token</pre></body></html>"),
    "page after words in JSON": Answer(500, {"message": "Upstream said <html><h1>10.0.0.7</h1></html>"}),
    "wait in words": Answer(429, {"message": "Rate limit reached. Please try again in 1m2.5s."}),
    "proxy": Answer(407),
    "wrong path": Answer(404, "Path must be of form /serving-endpoints/<endpoint_name>/invocations"),
    "ip list": Answer(403, "Source IP address: 1.2.3.4 is blocked by Databricks IP ACL for workspace: 123"),
    "scope": Answer(403, {"message": "Provided OAuth token does not have required scopes: model-serving"}),
    "invalid token 400": Answer(400, {"message": "Invalid Token"}),
    "invalid token 403": Answer(403, "Error 403 Invalid access token."),
    "token in a grammar": Answer(400, openai("The grammar holds an invalid token at line 3.")),
    "unsupported credential": Answer(
        401, {"error_code": 401, "message": "Credential was not sent or was of an unsupported type for this API."}
    ),
    "401": Answer(401),
    "403": Answer(403, {"error_code": "PERMISSION_DENIED", "message": "no"}),
    "can query": Answer(403, "User does not have CAN_QUERY permission on endpoint 'databricks-gpt-5'."),
    "legacy name": Answer(
        501,
        {"error_code": "NOT_IMPLEMENTED", "message": "It is no longer available. Use Unity Catalog model services."},
    ),
    "gateway off": Answer(501),
    "supervisor off": Answer(404, {"error_code": "NOT_FOUND", "message": "Supervisor API is not enabled"}),
    "responses only": Answer(
        400, {"message": "Model x only supports the Responses API. Please use /serving-endpoints/responses instead."}
    ),
    "sees no pictures": Answer(400, {"error_code": "BAD_REQUEST", "message": "Model m does not support image input."}),
    "hears nothing": Answer(400, {"error_code": "BAD_REQUEST", "message": "Model m does not support audio input."}),
    "no part for videos": Answer(
        400,
        {
            "error": {
                "message": "Invalid value: 'video_url'. Supported values are: 'input_text', 'input_image'.",
                "type": "invalid_request_error",
                "param": "input[0].content[1].type",
                "code": "invalid_value",
            }
        },
    ),
    "reads no files": Answer(400, {"error_code": "BAD_REQUEST", "message": "Model m does not support file input."}),
    "reads no such file": Answer(
        400,
        {
            "error": {
                "message": "Invalid file data: 'input[0].content[1].file_data'. Expected a base64-encoded data URL "
                "with an application/pdf MIME type, but got unsupported MIME type 'application/zip'.",
                "type": "invalid_request_error",
                "param": "input[0].content[1].file_data",
                "code": "invalid_value",
            }
        },
    ),
    "chat only": Answer(
        400, {"message": "Model x only supports the Chat Completions API. Please use /v1/chat/completions instead."}
    ),
    "api type, responses offered": Answer(
        400,
        "API type 'openai/v1/chat/completions' is not supported by 'm'. Supported API types: [openai/v1/responses, x]",
    ),
    "api type, responses not offered": Answer(
        400, "API type 'openai/v1/responses' is not supported by 'm'. Supported API types: [anthropic/v1/messages]"
    ),
    "native api type": Answer(
        400,
        "INVALID_PARAMETER_VALUE: Native_api_type=openai/v1/responses is not supported for provider Amazon Bedrock",
    ),
    "payload": Answer(
        400,
        "A request which exceeds maximum allowed content length. RequestSize(bytes): 1, Limit(bytes): 2",
    ),
    "413": Answer(413),
    "context": Answer(400, openai("Your input exceeds the context window.", code="context_length_exceeded")),
    "id too long": Answer(
        400,
        openai(
            "Invalid 'input[1].id': string too long. Expected a string with maximum length 64, but got length 192.",
            param="input[1].id",
            code="string_above_max_length",
        ),
    ),
    "encrypted content": Answer(
        400, openai("Encrypted content could not be verified.", code="invalid_encrypted_content")
    ),
    "encrypted content, in words": Answer(400, openai("Encrypted content could not be decrypted or parsed.")),
    "input too long": Answer(400, openai("Input is too much.", code="string_above_max_length")),
    "no endpoint, in words": Answer(404, {"message": "The given endpoint does not exist, please retry."}),
    "403 without a word": Answer(403),
    "no tool output": Answer(400, openai("No tool output found for function call call_1.")),
    "content policy": Answer(400, openai("Blocked by our safety system.", code="moderation_blocked")),
    "background": Answer(400, {"error_code": "BAD_REQUEST", "message": "background is not supported"}),
    "store": Answer(400, openai("Unsupported parameter: 'store'", param="store")),
    "unknown previous response": Answer(
        404,
        nested(
            openai(
                "Previous response with id 'resp_1' not found.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        ),
    ),
    "unknown previous response, in words alone": Answer(
        404, {"message": "The previous response resp_1 could not be found."}
    ),
    "unknown file": Answer(404, openai("No such File object: file with id 'file-1' not found.", param="file_id")),
    "unknown Genie space": Answer(
        404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Genie space '01ef' does not exist."}
    ),
    "an endpoint with a file in its name": Answer(
        404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Endpoint 'my-file' does not exist."}
    ),
    "no multimodal model": Answer(400, openai("opt-125m is not a multimodal model")),
    "Python's form of validation errors": Answer(
        400,
        openai(
            "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {'a': 'secret'}}, "
            "{'type': 'int_type', 'loc': ('body', 'n'), 'msg': 'Input should be an integer', 'input': 'x'}]"
        ),
    ),
    "an error inside Python's form of one": Answer(
        400,
        openai(
            "litellm.BadRequestError: OpenAIException - Error code: 400 - {'error': {'message': 'Unsupported value: "
            "top_p', 'type': 'invalid_request_error', 'param': 'top_p', 'code': None}}"
        ),
    ),
    "pydantic's form": Answer(
        422,
        {
            "detail": "2 validation errors for ResponsesRequest\ninput.str\n  Input should be a valid string "
            "[type=string_type, input_value={'a': 'secret'}, input_type=dict]\n    For further information visit "
            "https://errors.pydantic.dev/2.12/v/string_type\ntools.0.type\n  Field required [type=missing, "
            "input_value={}, input_type=dict]"
        },
    ),
    "Go's form": Answer(
        400,
        openai("json: cannot unmarshal string into Go struct field ResponsesRequest.tools of type []openai.Tool"),
    ),
    "previous_response_id": Answer(400, {"message": "previous_response_id: Extra inputs are not permitted"}),
    "service_tier": Answer(400, openai("Unsupported parameter.", param="service_tier")),
    "effort": Answer(
        400,
        openai(
            "Unsupported value: 'xhigh' is not supported with the 'gpt-5' model. Supported values are: 'low', 'high'.",
            param="reasoning.effort",
        ),
    ),
    "temperature": Answer(
        400, openai("Unsupported parameter: 'temperature' is not supported with this model.", param="temperature")
    ),
    "tool type": Answer(400, openai("Tool type 'file_search' is not supported with this model.", param="tools")),
    "tiny max_output_tokens": Answer(
        400, openai("Integer below minimum value. Expected >= 16.", param="max_output_tokens")
    ),
    "unknown parameter": Answer(400, openai("Unknown parameter: 'reasoningSummary'.", param="reasoningSummary")),
    "extra inputs": Answer(422, {"detail": [{"loc": ["body", "foo"], "msg": "Extra inputs are not permitted"}]}),
    "output tokens": Answer(429, {"error": {"message": "Rate limit", "limit_type": "output_tokens_per_minute"}}),
    "hourly": Answer(429, "REQUEST_LIMIT_EXCEEDED: QPH limit reached", {"retry-after": "120"}),
    "quota": Answer(429, openai("You exceeded your current quota.", code="insufficient_quota")),
    "plain 429": Answer(429),
    "no endpoint": Answer(
        404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "Endpoint 'databricks-gpt-5' not found."}
    ),
    "no resource": Answer(404, "RESOURCE_DOES_NOT_EXIST: gone"),
    "no model": Answer(404, {"message": "'system.ai.gpt-5-3-codex' does not exist"}),
    "404": Answer(404),
    "not ready": Answer(400, {"message": "The endpoint is not ready: it is scaled to zero."}),
    "temporarily": Answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Busy"}, {"retry-after": "7"}),
    "504": Answer(504),
    "internal": Answer(500, {"error_code": "INTERNAL_ERROR", "message": "Oops"}),
}


def told(error: BridgeError) -> list[str]:
    """The whole error as short lines, for the snapshots."""
    known = error.as_dict(mcp_words)
    lines = [*textwrap.wrap(known.pop("message"), 90), *textwrap.wrap("-> " + known.pop("hint"), 90)]
    return [" ".join(f"{name}={value}" for name, value in known.items()), *lines]


def test_every_shape_of_error_body_is_read() -> None:
    assert {name: told(explain(answer)) for name, answer in SHAPES.items()} == snapshot(
        {
            "documented 429": [
                "code=rate_limited retryable=True retry_after_seconds=15.0 status=429 request_id=0f7e-1",
                "The endpoint's limit of input tokens per minute is reached (HTTP 429): Rate limit",
                "exceeded: ITPM limit of 200,000 tokens reached.",
                "-> Wait, or send a shorter prompt.",
            ],
            "nested JSON string": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): Bad 'size' value.",
                "-> Correct what the message names and ask again.",
            ],
            "doubly nested": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): Deep cause.",
                "-> Correct what the message names and ask again.",
            ],
            "nested after a code": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): Told after a code.",
                "-> Correct what the message names and ask again.",
            ],
            "openai shape": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): You must provide a prompt.",
                "-> Correct what the message names and ask again.",
            ],
            "error is text": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): no prompt.",
                "-> Correct what the message names and ask again.",
            ],
            "error code is a number": [
                "code=invalid_argument retryable=False status=422",
                "The workspace refused the request (HTTP 422): Input is empty.",
                "-> Correct what the message names and ask again.",
            ],
            "message only": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): Something is off.",
                "-> Correct what the message names and ask again.",
            ],
            "text with a code": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): the body is not JSON.",
                "-> Correct what the message names and ask again.",
            ],
            "validation list": [
                "code=invalid_argument retryable=False status=422",
                "The workspace refused the request (HTTP 422): Field required (input).",
                "-> Correct what the message names and ask again.",
            ],
            "a list": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): first.",
                "-> Correct what the message names and ask again.",
            ],
            "a JSON string": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): only a string.",
                "-> Correct what the message names and ask again.",
            ],
            "html with pre": [
                "code=upstream_error retryable=True status=500",
                "The workspace failed inside (HTTP 500): an HTML page instead of an answer.",
                "-> Ask again; if it happens every time, the model may not be served on this path. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "html with title": [
                "code=upstream_unavailable retryable=True status=502",
                "The workspace is not available at the moment (HTTP 502): an HTML page instead of an",
                "answer.",
                "-> Ask again in a moment.",
            ],
            "html without words": [
                "code=upstream_unavailable retryable=True status=503",
                "The workspace is not available at the moment (HTTP 503): an HTML page instead of an",
                "answer.",
                "-> Ask again in a moment.",
            ],
            "html inside JSON": [
                "code=upstream_error retryable=True status=500",
                "The workspace failed inside (HTTP 500): an HTML page instead of an answer.",
                "-> Ask again; if it happens every time, the model may not be served on this path. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "event stream": [
                "code=upstream_error retryable=True status=500",
                "The workspace failed inside (HTTP 500): mock failed.",
                "-> Ask again; if it happens every time, the model may not be served on this path. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "event stream without error": [
                "code=upstream_error retryable=True status=500",
                "The workspace failed inside (HTTP 500): an event stream that names no error.",
                "-> Ask again; if it happens every time, the model may not be served on this path. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "litellm": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): Authentication Error.",
                "-> Correct what the message names and ask again.",
            ],
            "truncated JSON": [
                "code=invalid_argument retryable=False status=400",
                'The workspace refused the request (HTTP 400): {"error": {"message": "cut o.',
                "-> Correct what the message names and ask again.",
            ],
            "not UTF-8": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): �� broken.",
                "-> Correct what the message names and ask again.",
            ],
            "empty": [
                "code=upstream_error retryable=True status=500",
                "The workspace failed inside (HTTP 500): Internal Server Error.",
                "-> Ask again; if it happens every time, the model may not be served on this path. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "empty object": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): Bad Request.",
                "-> Correct what the message names and ask again.",
            ],
            "unknown status": [
                "code=upstream_error retryable=True status=599",
                "The workspace failed (HTTP 599): odd.",
                "-> Ask again. `databricks-responses-mcp doctor` shows which check fails.",
            ],
            "teapot": [
                "code=upstream_error retryable=True status=418",
                "The workspace failed (HTTP 418): I'm a Teapot.",
                "-> Ask again. `databricks-responses-mcp doctor` shows which check fails.",
            ],
            "page instead of JSON": [
                "code=not_configured retryable=False status=200",
                "https://dbc-a1.cloud.databricks.com answered with a sign-in page instead of the API's",
                "answer (HTTP 200): an HTML page instead of an answer.",
                "-> Use the workspace's own address as DATABRICKS_HOST, not a custom URL or a Databricks",
                "App: those require a browser or OAuth and accept no personal access token.",
            ],
            "not JSON under 200": [
                "code=upstream_error retryable=False status=200",
                "https://dbc-a1.cloud.databricks.com answered with something that is not the API's answer",
                "(HTTP 200): ok.",
                "-> Check that DATABRICKS_HOST is the workspace's own address. `databricks-responses-mcp",
                "doctor` shows which check fails.",
            ],
        }
    )


def test_every_known_mark_gets_its_code_and_advice() -> None:
    assert {name: told(explain(answer)) for name, answer in MARKS.items()} == snapshot(
        {
            "schema of an agent": [
                "code=unsupported_by_model retryable=False status=400",
                "The agent databricks-gpt-5 does not accept that (HTTP 400): Invalid properties not defined",
                "in the schema found: {'name', 'parameters'}.",
                "-> Leave out what the message names: an agent accepts only the fields of the schema that",
                "it was saved with. If MLflow made the schema, only the type of function tools is accepted;",
                "such an agent has its own tools.",
            ],
            "input guardrail": [
                "code=content_filtered retryable=False status=400",
                "The endpoint's input guardrail refused the request for hate.",
                "-> Rephrase the request; the endpoint's owner decides what its guardrails let through.",
            ],
            "output guardrail, list": [
                "code=content_filtered retryable=False status=400",
                "The endpoint's output guardrail refused the request for violence, hate.",
                "-> Rephrase the request; the endpoint's owner decides what its guardrails let through.",
            ],
            "guardrail, personal data": [
                "code=content_filtered retryable=False status=400",
                "The endpoint's input guardrail refused the request for personal data.",
                "-> Rephrase the request; the endpoint's owner decides what its guardrails let through.",
            ],
            "redirect to login": [
                "code=not_configured retryable=False status=303",
                "https://dbc-a1.cloud.databricks.com answered with a redirect to a sign-in page,",
                "https://dbc-a1.cloud.databricks.com/login, instead of the API's answer (HTTP 303).",
                "-> Use the workspace's own address as DATABRICKS_HOST, not a custom URL or a Databricks",
                "App: those require a browser or OAuth and accept no personal access token.",
            ],
            "redirect to another host": [
                "code=not_configured retryable=False status=307",
                "https://dbc-a1.cloud.databricks.com answered with a redirect to",
                "https://other.example:8443/serving-endpoints/x (HTTP 307), which is not followed.",
                "-> If https://other.example:8443 is the workspace, set DATABRICKS_HOST (or the profile's",
                "host) to it; else ask the administrator of the network or of a proxy in between why it",
                "answers for the workspace.",
            ],
            "redirect to another path": [
                "code=not_configured retryable=False status=308",
                "https://dbc-a1.cloud.databricks.com answered with a redirect to",
                "https://dbc-a1.cloud.databricks.com/api/v2 (HTTP 308), which is not followed.",
                "-> If the API has moved there, set RESPONSES_MCP_RESPONSES_PATH to that path; else ask the",
                "administrator of the network or of a proxy in between why it answers for the workspace.",
            ],
            "redirect to nowhere": [
                "code=not_configured retryable=False status=301",
                "https://dbc-a1.cloud.databricks.com answered with a redirect that names no target (HTTP",
                "301).",
                "-> Check DATABRICKS_HOST, or ask the administrator of the network or of a proxy in between",
                "why it answers for the workspace.",
            ],
            "redirect without target": [
                "code=not_configured retryable=False status=302",
                "https://dbc-a1.cloud.databricks.com answered with a redirect that names no target (HTTP",
                "302).",
                "-> Check DATABRICKS_HOST, or ask the administrator of the network or of a proxy in between",
                "why it answers for the workspace.",
            ],
            "tokens disabled": [
                "code=unauthenticated retryable=False status=403",
                "This workspace does not accept personal access tokens (HTTP 403): API tokens are disabled",
                "for user 1234567890123456.",
                "-> Sign in with OAuth: unset DATABRICKS_TOKEN and set DATABRICKS_CONFIG_PROFILE to the",
                "profile that signing in made; or set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET of",
                "a service principal. To sign in, have the user run `databricks auth login`.",
            ],
            "tokens not allowed": [
                "code=unauthenticated retryable=False status=401",
                "This workspace does not accept personal access tokens (HTTP 401): Personal access tokens",
                "are not allowed in this workspace.",
                "-> Sign in with OAuth: unset DATABRICKS_TOKEN and set DATABRICKS_CONFIG_PROFILE to the",
                "profile that signing in made; or set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET of",
                "a service principal. To sign in, have the user run `databricks auth login`.",
            ],
            "page of a proxy": [
                "code=upstream_unavailable retryable=True status=502",
                "The workspace is not available at the moment (HTTP 502): an HTML page instead of an",
                "answer.",
                "-> Ask again in a moment.",
            ],
            "page that refuses the token": [
                "code=unauthenticated retryable=False status=403",
                "The workspace does not know the token (HTTP 403): an HTML page instead of an answer.",
                "-> The token has expired or belongs to another workspace: make a new one in the workspace",
                "that DATABRICKS_HOST names, and check that no DATABRICKS_CONFIG_PROFILE points elsewhere.",
                "`databricks-responses-mcp doctor` shows which check fails.",
            ],
            "page after words in JSON": [
                "code=upstream_error retryable=True status=500",
                "The workspace failed inside (HTTP 500): an HTML page instead of an answer.",
                "-> Ask again; if it happens every time, the model may not be served on this path. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "wait in words": [
                "code=rate_limited retryable=True retry_after_seconds=62.5 status=429",
                "The endpoint's rate limit is reached (HTTP 429): Rate limit reached. Please try again in",
                "1m2.5s.",
                "-> Wait and ask again, or use another endpoint.",
            ],
            "proxy": [
                "code=not_configured retryable=False status=407",
                "A proxy between here and the workspace asks for credentials (HTTP 407): Proxy",
                "Authentication Required.",
                "-> Give the proxy's credentials in HTTPS_PROXY, or exempt the workspace in NO_PROXY.",
            ],
            "wrong path": [
                "code=not_configured retryable=False status=404",
                "The workspace has no such path (HTTP 404): Path must be of form /serving-",
                "endpoints/<endpoint_name>/invocations.",
                "-> Set DATABRICKS_HOST to the workspace's bare address and RESPONSES_MCP_RESPONSES_PATH to",
                "/serving-endpoints/responses.",
            ],
            "ip list": [
                "code=permission_denied retryable=False status=403",
                "The workspace does not accept requests from this network (HTTP 403): Source IP address:",
                "1.2.3.4 is blocked by Databricks IP ACL for workspace: 123.",
                "-> Connect from an allowed network (VPN), or ask an administrator to add this address to",
                "the IP access list.",
            ],
            "scope": [
                "code=permission_denied retryable=False status=403",
                "The token lacks a scope (HTTP 403): Provided OAuth token does not have required scopes:",
                "model-serving.",
                "-> Sign in with an OAuth token that has the scope model-serving or all-apis.",
            ],
            "invalid token 400": [
                "code=unauthenticated retryable=False status=400",
                "The workspace does not know the token (HTTP 400): Invalid Token.",
                "-> The token has expired or belongs to another workspace: make a new one in the workspace",
                "that DATABRICKS_HOST names, and check that no DATABRICKS_CONFIG_PROFILE points elsewhere.",
                "`databricks-responses-mcp doctor` shows which check fails.",
            ],
            "invalid token 403": [
                "code=unauthenticated retryable=False status=403",
                "The workspace does not know the token (HTTP 403): Error 403 Invalid access token.",
                "-> The token has expired or belongs to another workspace: make a new one in the workspace",
                "that DATABRICKS_HOST names, and check that no DATABRICKS_CONFIG_PROFILE points elsewhere.",
                "`databricks-responses-mcp doctor` shows which check fails.",
            ],
            "token in a grammar": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): The grammar holds an invalid token at line",
                "3.",
                "-> Correct what the message names and ask again.",
            ],
            "unsupported credential": [
                "code=unauthenticated retryable=False status=401",
                "The workspace did not accept the credentials (HTTP 401): Credential was not sent or was of",
                "an unsupported type for this API.",
                "-> Give a valid DATABRICKS_TOKEN, or sign in again. To sign in, have the user run",
                "`databricks auth login`. `databricks-responses-mcp doctor` shows which check fails.",
            ],
            "401": [
                "code=unauthenticated retryable=False status=401",
                "The workspace did not accept the credentials (HTTP 401): Unauthorized.",
                "-> Give a valid DATABRICKS_TOKEN, or sign in again. To sign in, have the user run",
                "`databricks auth login`. `databricks-responses-mcp doctor` shows which check fails.",
            ],
            "403": [
                "code=permission_denied retryable=False status=403",
                "The workspace does not allow it (HTTP 403): no.",
                "-> Ask an administrator for access, for example CAN QUERY on the endpoint. `databricks-",
                "responses-mcp doctor` shows which check fails.",
            ],
            "can query": [
                "code=permission_denied retryable=False status=403",
                "You may not use the serving endpoint databricks-gpt-5 (HTTP 403): User does not have",
                "CAN_QUERY permission on endpoint 'databricks-gpt-5'.",
                "-> Ask the endpoint's owner for the permission CAN QUERY on databricks-gpt-5.",
            ],
            "legacy name": [
                "code=model_not_found retryable=False status=501",
                "The old model name is no longer served (HTTP 501): It is no longer available. Use Unity",
                "Catalog model services.",
                "-> This workspace has moved to Unity Catalog model services: name the model",
                "system.ai.<model>, which goes through the gateway, or set RESPONSES_MCP_SURFACE to",
                "gateway.",
            ],
            "gateway off": [
                "code=not_configured retryable=False status=501",
                "The workspace does not offer the configured API (HTTP 501): Not Implemented.",
                "-> The feature is off in this workspace or region: set RESPONSES_MCP_SURFACE to auto, or,",
                "for a name that has moved to the catalog, name the model system.ai.<model>.",
            ],
            "supervisor off": [
                "code=not_configured retryable=False status=404",
                "The configured API is not turned on in this workspace (HTTP 404): Supervisor API is not",
                "enabled.",
                "-> Ask an administrator to turn the preview on, or set RESPONSES_MCP_SURFACE to auto.",
            ],
            "responses only": [
                "code=unsupported_by_model retryable=False status=400",
                "The model answers on the Responses API only, and another surface was asked (HTTP 400):",
                "Model x only supports the Responses API. Please use /serving-endpoints/responses instead.",
                "-> Set RESPONSES_MCP_SURFACE back to auto, and leave RESPONSES_MCP_RESPONSES_PATH out.",
            ],
            "sees no pictures": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept images (HTTP 400): Model m does not support",
                "image input.",
                "-> Leave the images out, or use a model that accepts them.",
            ],
            "hears nothing": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept audio (HTTP 400): Model m does not support",
                "audio input.",
                "-> Use a model that accepts audio, such as a Gemini model of the workspace. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "no part for videos": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept video (HTTP 400): Invalid value: 'video_url'.",
                "Supported values are: 'input_text', 'input_image' (input[0].content[1].type).",
                "-> Use a model that accepts video, such as a Gemini model of the workspace. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "reads no files": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept this document (HTTP 400): Model m does not",
                "support file input.",
                "-> Give its text instead, for instance of pdftotext in.pdf out.txt, or use an OpenAI model",
                "of the workspace.",
            ],
            "reads no such file": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept this document (HTTP 400): Invalid file data:",
                "'input[0].content[1].file_data'. Expected a base64-encoded data URL with an",
                "application/pdf MIME type, but got unsupported MIME type 'application/zip'.",
                "-> Give its text instead, for instance of pdftotext in.pdf out.txt, or use an OpenAI model",
                "of the workspace.",
            ],
            "chat only": [
                "code=unsupported_by_model retryable=False status=400",
                "The model answers on Chat Completions only, and another surface was asked (HTTP 400):",
                "Model x only supports the Chat Completions API. Please use /v1/chat/completions instead.",
                "-> Set RESPONSES_MCP_SURFACE back to auto, or to chat.",
            ],
            "api type, responses offered": [
                "code=unsupported_by_model retryable=False status=400",
                "The model answers on the Responses API only, and another surface was asked (HTTP 400): API",
                "type 'openai/v1/chat/completions' is not supported by 'm'. Supported API types:",
                "[openai/v1/responses, x].",
                "-> Set RESPONSES_MCP_SURFACE back to auto, and leave RESPONSES_MCP_RESPONSES_PATH out.",
            ],
            "api type, responses not offered": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 is not served through this API (HTTP 400): API type",
                "'openai/v1/responses' is not supported by 'm'. Supported API types:",
                "[anthropic/v1/messages].",
                "-> Leave RESPONSES_MCP_SURFACE at auto, or choose an OpenAI model. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "native api type": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 is not served through this API (HTTP 400):",
                "Native_api_type=openai/v1/responses is not supported for provider Amazon Bedrock.",
                "-> Leave RESPONSES_MCP_SURFACE at auto, or choose an OpenAI model. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
            "payload": [
                "code=too_large retryable=False status=400",
                "The request is larger than model serving accepts (HTTP 400): A request which exceeds",
                "maximum allowed content length. RequestSize(bytes): 1, Limit(bytes): 2.",
                "-> Send fewer or smaller images and files.",
            ],
            "413": [
                "code=too_large retryable=False status=413",
                "The request is too large (HTTP 413): Content Too Large.",
                "-> Send fewer or smaller images and files.",
            ],
            "context": [
                "code=too_large retryable=False status=400",
                "The prompt is longer than the model databricks-gpt-5 can read (HTTP 400): Your input",
                "exceeds the context window.",
                "-> Send less: fewer or smaller files and images, or start a new conversation.",
            ],
            "id too long": [
                "code=invalid_argument retryable=False status=400",
                "An id in the input is longer than 64 characters, the most that the workspace reads back",
                "(HTTP 400): Invalid 'input[1].id': string too long. Expected a string with maximum length",
                "64, but got length 192.",
                "-> Leave ids out of the input items, or shorten them to 64 characters.",
            ],
            "encrypted content": [
                "code=invalid_argument retryable=False status=400",
                "The model could not read the encrypted reasoning of an earlier turn (HTTP 400): Encrypted",
                "content could not be verified.",
                "-> Ask again without the earlier reasoning items: they can only be read by the model that",
                "made them (invalid_encrypted_content).",
            ],
            "encrypted content, in words": [
                "code=invalid_argument retryable=False status=400",
                "The model could not read the encrypted reasoning of an earlier turn (HTTP 400): Encrypted",
                "content could not be decrypted or parsed.",
                "-> Ask again without the earlier reasoning items: they can only be read by the model that",
                "made them (invalid_encrypted_content).",
            ],
            "input too long": [
                "code=too_large retryable=False status=400",
                "The prompt is longer than the model databricks-gpt-5 can read (HTTP 400): Input is too",
                "much.",
                "-> Send less: fewer or smaller files and images, or start a new conversation.",
            ],
            "no endpoint, in words": [
                "code=model_not_found retryable=False status=404",
                "The workspace has no serving endpoint databricks-gpt-5 (HTTP 404): The given endpoint does",
                "not exist, please retry.",
                "-> Call list_databricks_models to see the models of this workspace and how each is",
                "reached.",
            ],
            "403 without a word": [
                "code=permission_denied retryable=False status=403",
                "The workspace does not allow it (HTTP 403): Forbidden.",
                "-> Ask an administrator for access, for example CAN QUERY on the endpoint. `databricks-",
                "responses-mcp doctor` shows which check fails.",
            ],
            "no tool output": [
                "code=invalid_argument retryable=False status=400",
                "A tool call of the conversation has no output (HTTP 400): No tool output found for",
                "function call call_1.",
                "-> Hand back one output for every pending call, with its call_id.",
            ],
            "content policy": [
                "code=content_filtered retryable=False status=400",
                "The provider's content filter refused the request (HTTP 400): Blocked by our safety",
                "system.",
                "-> Rephrase the request; the same text will be refused again.",
            ],
            "background": [
                "code=unsupported_by_model retryable=False status=400",
                "The endpoint does not accept background (HTTP 400): background is not supported.",
                "-> Pay-per-token endpoints store nothing and run nothing in the background. The bridge",
                "stores conversations itself; an external-model endpoint (OpenAI, Azure OpenAI) accepts the",
                "parameter. Leave out background.",
            ],
            "store": [
                "code=unsupported_by_model retryable=False status=400",
                "The endpoint does not accept store (HTTP 400): Unsupported parameter: 'store'.",
                "-> Pay-per-token endpoints store nothing and run nothing in the background. The bridge",
                "stores conversations itself; an external-model endpoint (OpenAI, Azure OpenAI) accepts the",
                "parameter. Leave out store.",
            ],
            "unknown previous response": [
                "code=invalid_argument retryable=False status=404",
                "The endpoint has no such earlier response (HTTP 404): Previous response with id 'resp_1'",
                "not found (previous_response_id).",
                "-> Leave previous_response_id out and pass the argument conversation_id with the value of",
                "the earlier result: the bridge keeps the conversation itself.",
            ],
            "unknown previous response, in words alone": [
                "code=invalid_argument retryable=False status=404",
                "The endpoint has no such earlier response (HTTP 404): The previous response resp_1 could",
                "not be found.",
                "-> Leave previous_response_id out and pass the argument conversation_id with the value of",
                "the earlier result: the bridge keeps the conversation itself.",
            ],
            "unknown file": [
                "code=invalid_argument retryable=False status=404",
                "Something that the request names does not exist (HTTP 404): No such File object: file with",
                "id 'file-1' not found (file_id).",
                "-> Correct the id or the name that the message shows, or leave it out.",
            ],
            "unknown Genie space": [
                "code=invalid_argument retryable=False status=404",
                "Something that the request names does not exist (HTTP 404): Genie space '01ef' does not",
                "exist.",
                "-> Correct the id or the name that the message shows, or leave it out.",
            ],
            "an endpoint with a file in its name": [
                "code=model_not_found retryable=False status=404",
                "The workspace has no serving endpoint databricks-gpt-5 (HTTP 404): Endpoint 'my-file' does",
                "not exist.",
                "-> Call list_databricks_models to see the models of this workspace and how each is",
                "reached.",
            ],
            "no multimodal model": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept images (HTTP 400): opt-125m is not a multimodal",
                "model.",
                "-> Leave the images out, or use a model that accepts them.",
            ],
            "Python's form of validation errors": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): messages: Field required; n: Input should be",
                "an integer.",
                "-> Correct what the message names and ask again.",
            ],
            "an error inside Python's form of one": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept top_p (HTTP 400): Unsupported value: top_p.",
                "-> Reasoning models such as the GPT-5 series do not accept it. Leave out top_p.",
            ],
            "pydantic's form": [
                "code=invalid_argument retryable=False status=422",
                "The workspace refused the request (HTTP 422): input.str: Input should be a valid string;",
                "tools.0.type: Field required.",
                "-> Correct what the message names and ask again.",
            ],
            "Go's form": [
                "code=invalid_argument retryable=False status=400",
                "The workspace refused the request (HTTP 400): tools takes a list, not a string.",
                "-> Correct what the message names and ask again.",
            ],
            "previous_response_id": [
                "code=unsupported_by_model retryable=False status=400",
                "The endpoint does not accept previous_response_id (HTTP 400): previous_response_id: Extra",
                "inputs are not permitted.",
                "-> Pay-per-token endpoints store nothing and run nothing in the background. The bridge",
                "stores conversations itself; an external-model endpoint (OpenAI, Azure OpenAI) accepts the",
                "parameter. Leave out previous_response_id.",
            ],
            "service_tier": [
                "code=unsupported_by_model retryable=False status=400",
                "The endpoint does not accept service_tier (HTTP 400): Unsupported parameter.",
                "-> Only models with priority pay-per-token accept it. Leave out service_tier.",
            ],
            "effort": [
                "code=invalid_argument retryable=False status=400",
                "The model databricks-gpt-5 does not accept that reasoning effort (HTTP 400): Unsupported",
                "value: 'xhigh' is not supported with the 'gpt-5' model. Supported values are: 'low',",
                "'high' (reasoning.effort).",
                "-> Use one of the efforts that the message names, or leave the effort out.",
            ],
            "temperature": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept temperature (HTTP 400): Unsupported parameter:",
                "'temperature' is not supported with this model.",
                "-> Reasoning models such as the GPT-5 series do not accept it. Leave out temperature.",
            ],
            "tool type": [
                "code=unsupported_by_model retryable=False status=400",
                "The model databricks-gpt-5 does not accept that tool (HTTP 400): Tool type 'file_search'",
                "is not supported with this model (tools).",
                "-> Pay-per-token endpoints accept the tools function, custom (GPT-5 series only),",
                "apply_patch, shell, image_generation, mcp and web_search; leave others out or choose",
                "another model.",
            ],
            "tiny max_output_tokens": [
                "code=invalid_argument retryable=False status=400",
                "max_output_tokens is too small for the model databricks-gpt-5 (HTTP 400): Integer below",
                "minimum value. Expected >= 16.",
                "-> At least 16 are needed. Ask again with a larger max_output_tokens.",
            ],
            "unknown parameter": [
                "code=invalid_argument retryable=False status=400",
                "The endpoint does not know a parameter of the request (HTTP 400): Unknown parameter:",
                "'reasoningSummary'.",
                "-> Leave out the parameter that the message names, or correct its spelling.",
            ],
            "extra inputs": [
                "code=invalid_argument retryable=False status=422",
                "The endpoint does not know a parameter of the request (HTTP 422): Extra inputs are not",
                "permitted (foo).",
                "-> Leave out the parameter that the message names, or correct its spelling.",
            ],
            "output tokens": [
                "code=rate_limited retryable=True status=429",
                "The endpoint's limit of output tokens per minute is reached (HTTP 429): Rate limit.",
                "-> Wait. Output tokens are reserved in advance, so a smaller maximum fits sooner. Lower",
                "max_output_tokens.",
            ],
            "hourly": [
                "code=rate_limited retryable=True retry_after_seconds=120.0 status=429",
                "The endpoint's limit of requests per hour is reached (HTTP 429): QPH limit reached.",
                "-> Wait; the hourly limit of the workspace counts every request, or use another endpoint.",
            ],
            "quota": [
                "code=budget_exceeded retryable=False status=429",
                "The endpoint's quota is used up (HTTP 429): You exceeded your current quota.",
                "-> Ask the owner of the endpoint to raise its quota; waiting does not help.",
            ],
            "plain 429": [
                "code=rate_limited retryable=True status=429",
                "The endpoint's rate limit is reached (HTTP 429): Too Many Requests.",
                "-> Wait and ask again, or use another endpoint.",
            ],
            "no endpoint": [
                "code=model_not_found retryable=False status=404",
                "The workspace has no serving endpoint databricks-gpt-5 (HTTP 404): Endpoint 'databricks-",
                "gpt-5' not found.",
                "-> Call list_databricks_models to see the models of this workspace and how each is",
                "reached.",
            ],
            "no resource": [
                "code=model_not_found retryable=False status=404",
                "The workspace has no serving endpoint databricks-gpt-5 (HTTP 404): gone.",
                "-> Call list_databricks_models to see the models of this workspace and how each is",
                "reached.",
            ],
            "no model": [
                "code=model_not_found retryable=False status=404",
                "The workspace has no model databricks-gpt-5 (HTTP 404): 'system.ai.gpt-5-3-codex' does not",
                "exist.",
                "-> Call list_databricks_models to see the models of this workspace and how each is",
                "reached.",
            ],
            "404": [
                "code=model_not_found retryable=False status=404",
                "The workspace found neither the path nor the model databricks-gpt-5 (HTTP 404): Not Found.",
                "-> If no model can be listed either, DATABRICKS_HOST or RESPONSES_MCP_RESPONSES_PATH is",
                "wrong. Call list_databricks_models to see the models of this workspace and how each is",
                "reached.",
            ],
            "not ready": [
                "code=upstream_unavailable retryable=True status=400",
                "The serving endpoint databricks-gpt-5 is not ready (HTTP 400): The endpoint is not ready:",
                "it is scaled to zero.",
                "-> Ask again in a minute: an endpoint that scaled to zero takes that long to start.",
            ],
            "temporarily": [
                "code=upstream_unavailable retryable=True retry_after_seconds=7.0 status=503",
                "The workspace is not available at the moment (HTTP 503): Busy.",
                "-> Ask again in a moment.",
            ],
            "504": [
                "code=upstream_unavailable retryable=True status=504",
                "The model did not answer in the time that model serving allows (HTTP 504): Gateway",
                "Timeout.",
                "-> Ask for less at once (a lower reasoning effort, a shorter answer): model serving stops",
                "a request after 297 s.",
            ],
            "internal": [
                "code=upstream_error retryable=True status=500",
                "The workspace failed inside (HTTP 500): Oops.",
                "-> Ask again; if it happens every time, the model may not be served on this path. Call",
                "list_databricks_models to see the models of this workspace and how each is reached.",
            ],
        }
    )


EVENTS: dict[str, dict[str, object]] = {
    "error event": {"type": "error", "code": "server_error", "message": "The server had an error.", "param": None},
    "error event, nested": {"type": "error", "error": {"type": "server_error", "code": None, "message": "Down."}},
    "chunk with text": {"error": "agent crashed"},
    "chunk with JSON text": {"error": '{"error_code": "BAD_REQUEST", "message": "bad input"}'},
    "chunk of a proxy": {"error": {"message": "slow down", "code": "429"}},
    "numeric code": {"error": {"message": "overloaded", "code": 503}},
    "response.failed": {
        "type": "response.failed",
        "response": {
            "object": "response",
            "status": "failed",
            "error": {"code": "rate_limit_exceeded", "message": "Wait."},
        },
    },
    "failed response": {
        "object": "response",
        "status": "failed",
        "error": {"code": "server_error", "message": "Sorry."},
    },
    "failed response without error": {"object": "response", "status": "failed", "error": None},
    "error object": {
        "code": "invalid_prompt",
        "message": "Your prompt was flagged as potentially violating our policy.",
    },
    "image": {"code": "image_content_policy_violation", "message": "No."},
    "bad image": {"code": "invalid_image_format", "message": "What is this?"},
    "retry_after": {"error": {"code": "rate_limit_exceeded", "message": "Later.", "retry_after": 4}},
    "credentials": {"code": "invalid_api_key", "message": "Incorrect key."},
    "overloaded": {"type": "overloaded_error", "message": "Overloaded."},
    "empty": {},
}


def test_errors_inside_a_stream_are_read() -> None:
    assert {name: told(event_error(payload)) for name, payload in EVENTS.items()} == snapshot(
        {
            "error event": [
                "code=upstream_error retryable=True",
                "The model failed while it answered: The server had an error.",
                "-> Ask again.",
            ],
            "error event, nested": [
                "code=upstream_error retryable=True",
                "The model failed while it answered: Down.",
                "-> Ask again.",
            ],
            "chunk with text": [
                "code=upstream_error retryable=True",
                "The model stopped with an error: agent crashed.",
                "-> Ask again.",
            ],
            "chunk with JSON text": [
                "code=invalid_argument retryable=False",
                "The workspace refused the request: bad input.",
                "-> Correct what the message names and ask again.",
            ],
            "chunk of a proxy": [
                "code=rate_limited retryable=True",
                "The endpoint's rate limit is reached: slow down.",
                "-> Wait and ask again, or use another endpoint.",
            ],
            "numeric code": [
                "code=upstream_unavailable retryable=True",
                "The workspace is not available at the moment: overloaded.",
                "-> Ask again in a moment.",
            ],
            "response.failed": [
                "code=rate_limited retryable=True",
                "The endpoint's rate limit is reached: Wait.",
                "-> Wait and ask again, or use another endpoint.",
            ],
            "failed response": [
                "code=upstream_error retryable=True",
                "The model failed while it answered: Sorry.",
                "-> Ask again.",
            ],
            "failed response without error": [
                "code=upstream_error retryable=True",
                "The model stopped with an error.",
                "-> Ask again.",
            ],
            "error object": [
                "code=content_filtered retryable=False",
                "The provider's content filter refused the request: Your prompt was flagged as potentially",
                "violating our policy.",
                "-> Rephrase the request; the same text will be refused again.",
            ],
            "image": [
                "code=content_filtered retryable=False",
                "The provider's content filter refused the request: No.",
                "-> Rephrase the request; the same text will be refused again.",
            ],
            "bad image": [
                "code=invalid_argument retryable=False",
                "The model could not read an image: What is this?",
                "-> Use an undamaged image in PNG, JPEG, WebP or non-animated GIF, and not too large.",
            ],
            "retry_after": [
                "code=rate_limited retryable=True retry_after_seconds=4.0",
                "The endpoint's rate limit is reached: Later.",
                "-> Wait and ask again, or use another endpoint.",
            ],
            "credentials": [
                "code=unauthenticated retryable=False",
                "The workspace did not accept the credentials: Incorrect key.",
                "-> Give a valid DATABRICKS_TOKEN, or sign in again. To sign in, have the user run",
                "`databricks auth login`. `databricks-responses-mcp doctor` shows which check fails.",
            ],
            "overloaded": [
                "code=upstream_unavailable retryable=True",
                "The workspace is not available at the moment: Overloaded.",
                "-> Ask again in a moment.",
            ],
            "empty": ["code=upstream_error retryable=True", "The model stopped with an error.", "-> Ask again."],
        }
    )
    assert all(event_error(payload).status is None for payload in EVENTS.values())


def test_every_error_has_a_sentence_of_what_to_do_and_no_markup() -> None:
    for error in [*map(explain, [*SHAPES.values(), *MARKS.values()]), *map(event_error, EVENTS.values())]:
        assert error.message.endswith((".", "?", "…"))
        assert error.full_hint(mcp_words).endswith((".", "?"))
        assert "<html" not in str(error).lower()
        assert "{" not in error.full_hint(mcp_words)


def test_every_row_of_the_table_is_reached() -> None:
    """A row that no example reaches is hidden by one above it, or has no test."""
    reached = set()
    for answer in [*SHAPES.values(), *MARKS.values()]:
        body = parse_error_body(raw(answer))
        reached.add(find_rule(answer.status, body, matched_text(body)))
    for payload in EVENTS.values():
        body = parse_error_value(payload)
        reached.add(find_rule(None, body, matched_text(body)))
    assert [(rule.says, sorted(rule.codes), rule.text) for rule in RULES if rule not in reached] == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"RETRY-AFTER": "1.5"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "99999999"}, 86400.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_header_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert explain(Answer(429, "", headers)).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Limit 30000, Used 22999, Requested 12528. Please try again in 11.054s. Visit the page.", 11.054),
        ("Please retry after 7 seconds.", 7.0),
        ("Retry in 250ms", 0.25),
        ("try again in 6m0s", 360.0),
        ("Try again in 1 minute 30 seconds", 90.0),
        ("wait for 2 hours", 7200.0),
        ("Wait 20 milliseconds", 0.02),
        ("the limit resets in 1h1m1s", 3661.0),
        ("try again in 999999999 hours", 86400.0),
        ("Please try again later.", None),
        ("Retry with 3 messages", None),
        ("you asked 5 seconds too late", None),
    ],
)
def test_the_wait_that_is_told_in_words_alone_is_read(message: str, seconds: float | None) -> None:
    error = event_error({"type": "error", "error": {"code": "rate_limit_exceeded", "message": message}})
    assert (error.code, error.retry_after_seconds) == (ErrorCode.RATE_LIMITED, seconds)
    assert explain(Answer(429, {"message": message})).retry_after_seconds == seconds
    # What is told in a field counts more.
    assert explain(Answer(429, {"message": message}, {"retry-after": "3"})).retry_after_seconds == 3


@pytest.mark.parametrize("answer", [answer for answer in MARKS.values() if "<html" in str(answer.body)])
def test_an_html_page_is_reported_as_a_page_without_its_content(answer: Answer) -> None:
    error = explain(answer)
    assert not re.search(r"10\.0\.0|corp|Gateway|Moved|Invalid access", f"{error} {error.as_dict(mcp_words)}")


def test_only_the_first_line_of_a_plain_text_is_shown() -> None:
    trace = "upstream connect error or disconnect/reset before headers\nat 10.0.0.7:8443 (node-3.corp)\n  File x.py"
    for told in (trace, trace.replace("\n", "\r\n"), trace.replace("\n", "\r"), f"\n\n{trace}"):
        error = explain(Answer(503, told))
        assert "upstream connect error or disconnect/reset before headers" in error.message
        assert not re.search(r"10\.0\.0|corp|File", f"{error} {error.as_dict(mcp_words)}")


@pytest.mark.parametrize("wait", [-1, True, "soon", None, 1e9, 10**400, "NaN"])
def test_a_senseless_wait_in_the_body_is_ignored(wait: object) -> None:
    answer = Answer(429, {"error": {"message": "x", "retry_after": wait}}, {"retry-after": "9"})
    assert explain(answer).retry_after_seconds == 9.0


def test_a_failure_that_waiting_does_not_cure_asks_for_no_wait() -> None:
    assert explain(Answer(400, "", {"retry-after": "9"})).as_dict(mcp_words).get("retry_after_seconds") is None


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"x-request-id": "a1b2-c3"}, "a1b2-c3"),
        ({"X-Databricks-Request-Id": "d4e5"}, "d4e5"),
        ({"x-request-id": "<script>"}, None),
        ({"x-request-id": ""}, None),
    ],
)
def test_the_request_id_is_handed_on_if_it_looks_like_one(headers: dict[str, str], request_id: str | None) -> None:
    assert explain(Answer(500, "", headers)).request_id == request_id


def test_an_error_without_a_model_or_host_reads_well() -> None:
    error = upstream_error(status=404, headers={}, body=b'{"error_code":"NOT_FOUND"}', model=None, host=None)
    assert error.message == snapshot("The workspace has no serving endpoint (HTTP 404): NOT_FOUND.")


def test_no_secret_of_a_body_is_shown() -> None:
    secret = "dapi" + "0123456789abcdef" * 2
    for body in (f"bad token {secret}", {"message": f"Bearer {secret}"}, f"<title>{secret}</title>"):
        assert "0123456789" not in str(explain(Answer(400, body)))
    assert "0123456789" not in str(explain(Answer(404), model=secret))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "message",
                    "code",
                    "type",
                    "error_code",
                    "detail",
                    "param",
                    "retry_after",
                    "input_guardrail",
                    "flagged",
                    "categories",
                    "limit_type",
                    "loc",
                    "msg",
                    "response",
                    "object",
                    "status",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from([200, 302, 400, 401, 403, 404, 429, 500, 501, 503, 999]))
def test_no_body_of_any_shape_breaks_the_advice(value: object, status: int) -> None:
    error = explain(Answer(status, json.dumps(value)))
    assert isinstance(error.code, ErrorCode)
    assert error.message
    assert len(error.message) < 1200
    if isinstance(value, dict):
        assert event_error(value).message


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    parse_error_body(body)


def test_a_body_nested_beyond_reason_is_read_as_far_as_it_goes() -> None:
    message: object = "bottom"
    for _ in range(12):
        message = json.dumps({"message": message})
    assert explain(Answer(400, {"message": message})).code is ErrorCode.INVALID_ARGUMENT
    assert explain(Answer(400, "[" * 100_000)).code is ErrorCode.INVALID_ARGUMENT


def reason_of(message: str) -> tuple[Reason | None, Feature | None]:
    error = explain(Answer(400, openai(message)), model="customer-support-llama")
    return error.reason, error.feature


def test_a_refusal_has_the_reason_that_the_bridge_decides_by() -> None:
    assert {
        message: reason_of(message)
        for message in (
            "Your input exceeds the context window.",
            "Encrypted content could not be verified.",
            "reasoning.encrypted_content is not supported.",
            "Invalid value: include[0]: web_search_call.action.sources is not supported.",
            "Invalid schema for response_format 'answer': 'required' must name every key.",
            "Unsupported parameter: 'max_tokens'.",
            "Native_api_type=openai/v1/responses is not supported for provider Amazon Bedrock",
            "Model x only supports the Responses API.",
            "Model x only supports the Chat Completions API.",
            "Unsupported parameter: 'top_p' is not supported with the model customer-support-llama.",
            "customer-support-llama: top_p is not supported.",
            "Tool type 'web_search' is not supported.",
            "Tool 'custom' is not supported by customer-support-llama.",
            "Tool type 'file_search' is not supported.",
            "This model does not support image input.",
            "This model does not support file input.",
            "input_file is not supported for this model.",
            "Something is off.",
        )
    } == snapshot(
        {
            "Your input exceeds the context window.": (Reason.CONTEXT_TOO_LONG, None),
            "Encrypted content could not be verified.": (Reason.REASONING_UNREADABLE, None),
            "reasoning.encrypted_content is not supported.": (Reason.ENCRYPTED_REASONING_REFUSED, None),
            "Invalid value: include[0]: web_search_call.action.sources is not supported.": (
                Reason.INCLUDE_REFUSED,
                None,
            ),
            "Invalid schema for response_format 'answer': 'required' must name every key.": (
                Reason.STRICT_REFUSED,
                None,
            ),
            "Unsupported parameter: 'max_tokens'.": (Reason.OUTPUT_CAP_REFUSED, None),
            "Native_api_type=openai/v1/responses is not supported for provider Amazon Bedrock": (
                Reason.SURFACE_MISMATCH,
                None,
            ),
            "Model x only supports the Responses API.": (Reason.SURFACE_MISMATCH, None),
            "Model x only supports the Chat Completions API.": (Reason.SURFACE_MISMATCH, None),
            "Unsupported parameter: 'top_p' is not supported with the model customer-support-llama.": (
                Reason.PARAMETER_REFUSED,
                None,
            ),
            "customer-support-llama: top_p is not supported.": (Reason.PARAMETER_REFUSED, None),
            "Tool type 'web_search' is not supported.": (Reason.FEATURE_MISSING, Feature.WEB_SEARCH),
            "Tool 'custom' is not supported by customer-support-llama.": (Reason.FEATURE_MISSING, Feature.CUSTOM_TOOLS),
            "Tool type 'file_search' is not supported.": (Reason.FEATURE_MISSING, None),
            "This model does not support image input.": (Reason.FEATURE_MISSING, Feature.IMAGES),
            "This model does not support file input.": (Reason.FEATURE_MISSING, Feature.FILES),
            "input_file is not supported for this model.": (Reason.FEATURE_MISSING, Feature.FILES),
            "Something is off.": (None, None),
        }
    )


@given(
    model=st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,9}){0,3}", fullmatch=True)
    | st.sampled_from(["customer-support-llama", "my-custom", "web_search", "image-shell", "schema", "include-mcp"]),
    quote=st.sampled_from(["", "'", '"']),
)
def test_the_name_of_an_endpoint_is_no_reason(model: str, quote: str) -> None:
    message = "Unsupported parameter: 'top_p' is not supported with {}."
    error = explain(Answer(400, openai(message.format(quote + model + quote))), model=model)
    assert (error.code, error.reason, error.feature) == (
        ErrorCode.UNSUPPORTED_BY_MODEL,
        Reason.PARAMETER_REFUSED,
        None,
    )


@pytest.mark.parametrize(("status", "is_told"), [(401, True), (403, True), (400, False), (404, False), (500, False)])
def test_the_tokens_that_an_app_takes_are_told_only_where_it_refused_one(status: int, is_told: bool) -> None:
    error = upstream_error(status=status, headers={}, body=b"{}", model="apps/a", host=HOST, is_app=True)
    assert ("only OAuth tokens" in error.hint) is is_told
    other = upstream_error(status=status, headers={}, body=b"{}", model="m", host=HOST)
    assert "only OAuth tokens" not in other.hint
