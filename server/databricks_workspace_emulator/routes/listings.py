"""The listings beside ``serving-endpoints``: foundation models with their APIs, and the services of Unity Catalog."""

import base64
import binascii
from typing import Any
from urllib.parse import parse_qs

from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.replies import invalid, turned_off, workspace_error

_MAX_PAGE = 200
_PAGE = 10


async def list_foundation_models(incoming: Incoming) -> Reply:
    """Answer ``GET /api/2.0/serving-endpoints:foundation-models``: undocumented, and the best source for a model's
    APIs.
    """
    state = incoming.state
    if not state.switches.foundation_models:
        raise turned_off(incoming.exchange.method, incoming.exchange.path)
    models = [endpoint for endpoint in state.visible_endpoints(incoming.user).values() if endpoint.kind == "foundation"]
    return json_reply({"endpoints": [model.listing() for model in models]})


async def list_model_services(incoming: Incoming) -> Reply:
    """Answer ``GET /api/2.1/unity-catalog/model-services``, page by page.

    Without a schema and without a page size it fails, as the real one was observed to.
    """
    return _page(incoming, "model_services", _services(incoming))


async def get_model_service(incoming: Incoming) -> Reply:
    """Answer ``GET /api/2.1/unity-catalog/model-services/{name}``."""
    name = incoming.path_params["name"]
    for service in _services(incoming):
        if service["name"] == f"model-services/{name}":
            return json_reply(service)
    raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", f"'{name}' does not exist")


async def list_mcp_services(incoming: Incoming) -> Reply:
    """Answer ``GET /api/2.1/unity-catalog/mcp-services``, page by page."""
    return _page(incoming, "mcp_services", _mcp_services(incoming))


async def get_mcp_service(incoming: Incoming) -> Reply:
    """Answer ``GET /api/2.1/unity-catalog/mcp-services/{name}``."""
    name = incoming.path_params["name"]
    for service in _mcp_services(incoming):
        if service["name"] == f"mcp-services/{name}":
            return json_reply(service)
    raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", f"'{name}' does not exist")


def _mcp_services(incoming: Incoming) -> list[dict[str, Any]]:
    if not incoming.state.switches.mcp_services:
        raise turned_off(incoming.exchange.method, incoming.exchange.path)
    services = incoming.state.mcp_services.items()
    return [{"name": f"mcp-services/{name}", "comment": comment} for name, comment in services]


def _services(incoming: Incoming) -> list[dict[str, Any]]:
    state = incoming.state
    if not state.switches.model_services:
        raise turned_off(incoming.exchange.method, incoming.exchange.path)
    visible = state.visible_endpoints(incoming.user)
    models = [endpoint.service() for endpoint in visible.values() if endpoint.kind == "foundation"]
    return [*models, *(service.service(state.endpoints) for service in state.services.values())]


def _page(incoming: Incoming, field: str, services: list[dict[str, Any]]) -> Reply:
    """Return the requested page of a listing."""
    query = parse_qs(incoming.exchange.query)
    parent = query.get("parent", [None])[0]
    size = _whole_number(query.get("page_size", ["0"])[0])
    if size > _MAX_PAGE or (parent is None and not size):
        return Reply(b"", 499)
    if parent is not None:
        prefix = f"{field.replace('_', '-')}/{parent.removeprefix('schemas/')}."
        services = [service for service in services if service["name"].startswith(prefix)]
    start = _position(query.get("page_token", [""])[0])
    end = start + (size or _PAGE)
    page: dict[str, Any] = {field: services[start:end]}
    if end < len(services):
        page["next_page_token"] = base64.urlsafe_b64encode(f"from {end}".encode()).decode()
    return json_reply(page)


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise invalid("page_size", "Expected a whole number.")
    return int(text)


def _position(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("from "))
    except (binascii.Error, ValueError):
        raise invalid("page_token", "It is not a token of this listing.") from None
