"""The Unity Gateway: ``/ai-gateway/…``, with models by their names in Unity Catalog."""

import json
from typing import Any

from databricks_workspace_emulator.catalogue import (
    CHAT_API,
    NATIVE_CHAT_API,
    RESPONSES_API,
    Endpoint,
    ModelService,
)
from databricks_workspace_emulator.contract.codex_request import read_codex_request
from databricks_workspace_emulator.contract.open_request import read_supervisor_request
from databricks_workspace_emulator.contract.request import (
    ResponsesRequest,
    named_model,
    parse_json,
    read_request,
    require_ready,
)
from databricks_workspace_emulator.exchange import Handler, Incoming, Reply, json_reply
from databricks_workspace_emulator.fault_injection import play_before
from databricks_workspace_emulator.replies import bad_request, invalid, turned_off, workspace_error
from databricks_workspace_emulator.routes import chat
from databricks_workspace_emulator.routes.responses import answer_by
from databricks_workspace_emulator.state import BackgroundResponse, EmulatorState

_SCHEMA = "system.ai."
_LEGACY = "databricks-"


def behind_gateway(handler: Handler) -> Handler:
    """Return a handler that answers 501 if the gateway is off, and reads the request's tags if it is on."""

    async def handle(incoming: Incoming) -> Reply:
        if not incoming.state.switches.gateway:
            raise workspace_error(501, "NOT_IMPLEMENTED", "AI Gateway is not available in this workspace or region.")
        try:
            tags = incoming.exchange.request_tags
        except ValueError:
            tags = False
        if not (tags is None or (isinstance(tags, dict) and all(isinstance(tag, str) for tag in tags.values()))):
            raise invalid("Databricks-Ai-Gateway-Request-Tags", "Expected a JSON object of strings.")
        return await handler(incoming)

    return handle


async def native_response(incoming: Incoming) -> Reply:
    """Answer ``/ai-gateway/openai/v1/responses``."""
    return await answer_by(incoming, _native)


async def codex_response(incoming: Incoming) -> Reply:
    """Answer ``/ai-gateway/codex/v1/responses``: the same, with Codex's additions to each request."""
    return await answer_by(incoming, _codex)


async def supervisor_response(incoming: Incoming) -> Reply:
    """Answer ``/ai-gateway/mlflow/v1/responses``: 404 unless the preview is on."""
    _require_supervisor(incoming)
    reply = await answer_by(incoming, _supervisor)
    value = parse_json(incoming.raw)
    if value.get("background") is not True or not isinstance(reply.body, bytes):
        return reply
    response = {**json.loads(reply.body), "background": True}
    incoming.state.background[response["id"]] = BackgroundResponse(response, incoming.state.background_polls)
    incoming.state.began_background.set()
    return json_reply({**response, "status": "queued", "output": [], "usage": None, "completed_at": None})


async def get_supervisor_response(incoming: Incoming) -> Reply:
    """Answer ``GET /ai-gateway/mlflow/v1/responses/{id}``: the current state of a background response."""
    kept = _background(incoming)
    response = kept.response
    kept.polled.set()
    if not kept.is_done:
        kept.polls_left -= 1
        return json_reply({**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None})
    return json_reply({**response, "status": "cancelled"} if kept.is_cancelled else response)


async def cancel_supervisor_response(incoming: Incoming) -> Reply:
    """Answer ``POST /ai-gateway/mlflow/v1/responses/{id}/cancel``."""
    kept = _background(incoming)
    kept.is_cancelled = kept.is_cancelled or not kept.is_done
    kept.cancelled.set()
    return json_reply({**kept.response, "status": "cancelled" if kept.is_cancelled else kept.response["status"]})


def _background(incoming: Incoming) -> BackgroundResponse:
    _require_supervisor(incoming)
    response_id = incoming.path_params["response_id"]
    kept = incoming.state.background.get(response_id)
    if kept is None:
        raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", f"Response with id '{response_id}' not found.")
    return kept


def _require_supervisor(incoming: Incoming) -> None:
    if not incoming.state.switches.supervisor:
        raise workspace_error(404, "FEATURE_DISABLED", "Supervisor API is not enabled")


async def unified_chat(incoming: Incoming) -> Reply:
    """Answer ``/ai-gateway/mlflow/v1/chat/completions``."""
    return await _chat(incoming, CHAT_API)


async def native_chat(incoming: Incoming) -> Reply:
    """Answer ``/ai-gateway/openai/v1/chat/completions``."""
    return await _chat(incoming, NATIVE_CHAT_API)


async def no_listing(incoming: Incoming) -> Reply:
    """Answer ``GET /ai-gateway/openai/v1/models``, which looks like a list of models."""
    raise bad_request(f"Request path {incoming.exchange.path} doesn't match any known API type.")


async def no_codex_listing(incoming: Incoming) -> Reply:
    """Answer ``GET /ai-gateway/codex/v1/models``, which Codex requests and workspaces were observed not to have."""
    raise workspace_error(404, "ENDPOINT_NOT_FOUND", "codex/v1/models is not enabled for this workspace.")


async def list_gateway_endpoints(incoming: Incoming) -> Reply:
    """Answer ``GET /api/ai-gateway/v2/endpoints``, by which clients detect whether there is a gateway."""
    if not incoming.state.switches.gateway:
        raise turned_off(incoming.exchange.method, incoming.exchange.path)
    return json_reply({"endpoints": []})


async def _chat(incoming: Incoming, api_type: str) -> Reply:
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    value = parse_json(incoming.raw)
    return await chat.complete(incoming, find_service(value, incoming, api_type), value)


async def _native(incoming: Incoming, value: dict[str, Any]) -> ResponsesRequest:
    return read_request(value, find_service(value, incoming, RESPONSES_API), incoming.state)


async def _codex(incoming: Incoming, value: dict[str, Any]) -> ResponsesRequest:
    return read_codex_request(value, find_service(value, incoming, RESPONSES_API), incoming.state)


async def _supervisor(incoming: Incoming, value: dict[str, Any]) -> ResponsesRequest:
    return read_supervisor_request(value, find_service(value, incoming, None))


def find_service(value: dict[str, Any], incoming: Incoming, api_type: str | None) -> Endpoint:
    """Return the model behind the model service that the body names, if the service has this API and the user
    sees it.
    """
    name, state = named_model(value), incoming.state
    if (made := state.services.get(name)) is not None:
        kinds = made.api_types(state.endpoints)
        behind = _routed(made, state)
    else:
        service = _SCHEMA + name.removeprefix(_LEGACY) if name.startswith(_LEGACY) else name
        models = (e for e in state.visible_endpoints(incoming.user).values() if e.kind == "foundation")
        found = next((model for model in models if model.service_name == service), None)
        if found is None:
            known = service if service.count(".") == 2 else _SCHEMA + service.replace(".", "-")
            raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", f"'{known}' does not exist")
        kinds, behind = found.api_types, found
    if api_type is not None and api_type not in kinds:
        shown = behind.name if made is None else name
        raise bad_request(
            f"API type '{api_type}' is not supported by '{shown}'. Supported API types: [{', '.join(kinds)}]"
        )
    return require_ready(behind)


def _routed(service: ModelService, state: EmulatorState) -> Endpoint:
    """Return the endpoint that answers this request to a model service: the destination for it, or a fallback."""
    number = state.routed[service.name]
    state.routed[service.name] += 1
    known = [state.endpoints[name] for name in service.route(number) if name in state.endpoints]
    if not known:
        raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", f"'{service.name}' has no destination that exists")
    return next((endpoint for endpoint in known if endpoint.ready), known[0])
