"""All formats of error bodies that were observed for workspaces, for their models and for proxies in front of them."""

import json
from collections.abc import Callable

from databricks_workspace_emulator.replies import ApiError, bad_request, retired_name, too_large

HTML = "text/html; charset=utf-8"
PAGE = """<!DOCTYPE html><html><head><title>Error {0}</title></head><body><h2>HTTP ERROR {0}</h2>
<pre>The embedded workspace was told to break. Internal trace: secret-host-10-0-0-1</pre></body></html>"""
_LIMIT = 32 * 1024 * 1024


def _json(value: object) -> tuple[str, str]:
    return "application/json", json.dumps(value)


def _workspace(code: str, message: str) -> tuple[str, str]:
    return _json({"error_code": code, "message": message})


def _like(error: ApiError) -> tuple[str, str]:
    return _json(error.body)


def _openai(status: int) -> tuple[str, str]:
    error = {"message": "The model said no.", "type": "invalid_request_error", "param": "input", "code": "some_code"}
    return _json({"error": error})


def _nested(status: int) -> tuple[str, str]:
    _, inner = _openai(status)
    return _workspace("BAD_REQUEST", inner)


def _guardrail(side: str) -> tuple[str, str]:
    found = {
        "usage": {"prompt_tokens": 12, "total_tokens": 12},
        f"{side}_guardrail": [{"flagged": True, "categories": {"violent-crimes": False, "hate": True}}],
    }
    return _workspace("BAD_REQUEST", json.dumps(found))


ERROR_BODIES: dict[str, Callable[[int], tuple[str, str]]] = {
    "openai": _openai,
    "nested": _nested,
    "guardrail": lambda status: _guardrail("input"),
    "output_guardrail": lambda status: _guardrail("output"),
    "workspace": lambda status: _workspace("BAD_REQUEST", "It is bad."),
    "permission": lambda status: _workspace("PERMISSION_DENIED", "No CAN_QUERY on this endpoint."),
    "invalid_token": lambda status: _workspace("INVALID_PARAMETER_VALUE", "Invalid Token"),
    "legacy_name": lambda status: _like(retired_name("databricks-gpt-5")),
    "gateway_off": lambda status: _workspace("NOT_IMPLEMENTED", "AI Gateway is not available in this workspace."),
    "wrong_provider": lambda status: _workspace(
        "INVALID_PARAMETER_VALUE", "Native_api_type=openai/v1/responses is not supported for provider Amazon Bedrock"
    ),
    "wrong_surface": lambda status: _like(
        bad_request(
            "API type 'openai/v1/responses' is not supported by 'databricks-glm-5-2'. "
            "Supported API types: [mlflow/v1/chat/completions]"
        )
    ),
    "too_large": lambda status: _like(too_large(str(_LIMIT + 4096), _LIMIT)),
    "message": lambda status: _json({"message": "Only a message."}),
    "code_number": lambda status: _json({"error_code": status, "message": "A number."}),
    "string": lambda status: _json({"error": "Only a string."}),
    "plain": lambda status: ("text/plain", "RESOURCE_EXHAUSTED: Too much of it."),
    "html": lambda status: (HTML, PAGE.format(status)),
    "empty": lambda status: ("application/json", ""),
    "list": lambda status: _json(["unexpected"]),
    "cut_json": lambda status: ("application/json", '{"error_code": "BAD_REQUEST", "message": "cut in the mid'),
}
"""By name: a function that returns the media type and the text for a status."""
