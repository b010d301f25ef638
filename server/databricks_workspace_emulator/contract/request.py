"""A request after every rule of the contract has been applied."""

import json
from dataclasses import dataclass
from typing import Any

from databricks_workspace_emulator.catalogue import CHAT_API, RESPONSES_API, Endpoint
from databricks_workspace_emulator.contract.items import Item, read_items
from databricks_workspace_emulator.contract.shapes import Body, Shape, TextFormat, read
from databricks_workspace_emulator.contract.tools import (
    Tool,
    read_tool_choice,
    read_tools,
    schema_problem,
    strict_schema_problem,
)
from databricks_workspace_emulator.replies import (
    ApiError,
    invalid,
    model_error,
    retired_model,
    retired_name,
    unknown_endpoint,
    workspace_error,
)
from databricks_workspace_emulator.state import EmulatorState
from databricks_workspace_emulator.users import User

_NOT_STORED = {
    "background": "background processing is not available",
    "store": "responses are not stored",
    "previous_response_id": "responses are not stored; send the whole conversation as 'input'",
    "conversation": "conversations are not stored; send the whole conversation as 'input'",
}
_SERVICE_TIERS = ("auto", "default", "priority")


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """The validated request.

    Attributes:
        body: the typed fields of the request.
        endpoint: the endpoint that answers.
        items: the whole input as items, each with its ``type``, including those of ``previous_response_id``.
        tools: as received.
        tool_choice: as received, or ``auto``.
        echoes: whether the answer begins with the whole input.
    """

    body: Body
    endpoint: Endpoint
    items: list[Item]
    tools: list[Tool]
    tool_choice: str | dict[str, Any]
    echoes: bool = False

    @property
    def json_schema(self) -> dict[str, Any] | None:
        """The schema that the text must match, if one was requested."""
        form = self.text_format
        if form is None or form.type == "text":
            return None
        return {"type": "object"} if form.type == "json_object" else form.schema_

    @property
    def text_format(self) -> TextFormat | None:
        """``text.format``."""
        return self.body.text.format if self.body.text else None

    def includes(self, what: str) -> bool:
        """Return whether ``include`` names it."""
        return what in (self.body.include or ())


class _WithModel(Shape, extra="ignore"):
    model: str


def parse_json(raw: bytes) -> dict[str, Any]:
    """Return the body as a JSON object.

    Raises:
        ApiError: 400 if it is not one.
    """
    try:
        value = json.loads(raw)
        if b"\\u" in raw:
            # A lone surrogate is valid JSON, but no text that could be sent back.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise workspace_error(400, "MALFORMED_REQUEST", f"The request body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise invalid("body", "The request body must be a JSON object.")
    return value


def find_endpoint(value: dict[str, Any], state: EmulatorState, user: User) -> Endpoint:
    """Return the endpoint that the body names, if the user can see it.

    Raises:
        ApiError: 400 without a name, 404 for an unknown one, 400 or 503 for one that is not ready.
    """
    name = named_model(value)
    endpoint = state.visible_endpoints(user).get(name)
    if endpoint is None:
        raise retired_model() if name in state.retired else unknown_endpoint(name)
    if endpoint.kind == "foundation" and not state.switches.legacy_names:
        raise retired_name(name)
    return require_ready(endpoint)


def named_model(value: dict[str, Any]) -> str:
    """Return the body's ``model``.

    Raises:
        ApiError: 400 if it is missing.
    """
    name = read(_WithModel, value).model
    if not name:
        raise invalid("model", "It must not be empty.")
    return name


def require_ready(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint if it is ready."""
    if not endpoint.ready:
        raise workspace_error(
            503, "TEMPORARILY_UNAVAILABLE", f"The endpoint '{endpoint.name}' is not ready yet. Please try again later."
        )
    return endpoint


def require_surface(endpoint: Endpoint, api_type: str) -> None:
    """Refuse a request to a surface that does not serve the endpoint."""
    if api_type in endpoint.api_types:
        return
    if api_type == CHAT_API and RESPONSES_API in endpoint.api_types and endpoint.kind != "agent":
        raise responses_only(endpoint)
    if endpoint.kind == "external":
        provider = {"amazon-bedrock": "Amazon Bedrock"}.get(endpoint.provider, endpoint.provider)
        message = f"Native_api_type={api_type} is not supported for provider {provider}"
    else:
        message = (
            f"API type '{api_type}' is not supported by '{endpoint.name}'. "
            f"Supported API types: [{', '.join(endpoint.api_types)}]"
        )
    raise workspace_error(400, "INVALID_PARAMETER_VALUE", message)


def responses_only(endpoint: Endpoint) -> ApiError:
    """Return the refusal of chat completions for a model, or a use of it, that only the Responses API serves."""
    return workspace_error(
        400,
        "BAD_REQUEST",
        f"Model {endpoint.name} only supports the Responses API. Please use /serving-endpoints/responses instead.",
    )


def read_request(value: dict[str, Any], endpoint: Endpoint, state: EmulatorState) -> ResponsesRequest:
    """Apply the contract of the native Responses API to a request for an endpoint that serves it.

    Raises:
        ApiError: the workspace's refusal.
    """
    if endpoint.pay_per_token:
        refuse_stored(value)
        _check_tier(value)
    if value.get("input") is None and value.get("previous_response_id") is None:
        raise invalid("input", "Missing required parameter: 'input'.")
    body = read(Body, {"input": []} | value)
    check_combinations(body)
    recalled = _recall(body, state)
    given = [{"type": "message", "role": "user", "content": body.input}] if isinstance(body.input, str) else body.input
    tools = read_tools(body.tools or [], endpoint)
    return ResponsesRequest(
        body=body,
        endpoint=endpoint,
        items=read_items(recalled + given),
        tools=tools,
        tool_choice=read_tool_choice(body.tool_choice, tools),
    )


def refuse_stored(value: dict[str, Any]) -> None:
    """Refuse parameters that need the workspace to store something."""
    for field, why in _NOT_STORED.items():
        if value.get(field) is not None:
            raise workspace_error(
                400,
                "INVALID_PARAMETER_VALUE",
                f"The parameter '{field}' is not supported for pay-per-token endpoints: {why}.",
            )


def _check_tier(value: dict[str, Any]) -> None:
    tier = value.get("service_tier")
    if tier is not None and tier not in _SERVICE_TIERS:
        raise workspace_error(
            400,
            "INVALID_PARAMETER_VALUE",
            f"The parameter 'service_tier' is managed by Databricks for pay-per-token endpoints; {tier!r} is not one "
            f"of {', '.join(_SERVICE_TIERS)}.",
        )


def check_combinations(body: Body) -> None:
    """Refuse fields that are valid alone but not together, and invalid schemas."""
    form = body.text.format if body.text else None
    if form is not None and form.type == "json_schema":
        for field, given in (("name", form.name), ("schema", form.schema_)):
            if given is None:
                raise invalid(f"text.format.{field}", f"Missing required parameter: 'text.format.{field}'.")
        schema = form.schema_ or {}
        if problem := schema_problem(schema) or (strict_schema_problem(schema) if form.strict else None):
            raise model_error(
                f"Invalid schema for response_format '{form.name}': {problem}",
                param="text.format.schema",
                code="invalid_json_schema",
            )
    if body.stream_options is not None and not body.stream:
        raise model_error("The 'stream_options' parameter needs 'stream' to be true.", param="stream_options")
    if body.background:
        raise model_error("The embedded workspace has no background processing.", param="background")
    for key, text in (body.metadata or {}).items():
        if len(key) > 64 or len(text) > 512:
            raise invalid("metadata", "Keys have at most 64 characters, values at most 512.")


def _recall(body: Body, state: EmulatorState) -> list[Item]:
    previous = body.previous_response_id
    if previous is None:
        return []
    if previous not in state.remembered:
        raise _previous_not_found(previous)
    return state.remembered[previous]


def _previous_not_found(response_id: str) -> ApiError:
    return model_error(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
        status=404,
    )
