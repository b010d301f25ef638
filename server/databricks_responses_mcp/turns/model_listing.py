"""The list of the workspace's models for callers, as text and as structured data.

The tool, the resource `model://{name}` and the command line use it. The command must not import MCP, which takes
longer than listing the models: so this is not in the tool's module.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, quoted
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.visible import visible
from databricks_responses_mcp.workspace.endpoints import Endpoint
from databricks_responses_mcp.workspace.model_profile import CAPABILITIES, Capability

_SHORT = 30
_NO_DEFAULT = "none, name one in each call"
_CAPABILITY_LABELS: dict[Capability, str] = {
    "text": "text",
    "images": "sees images",
    "image_generation": "draws",
    "web_search": "searches the web",
    "custom_tools": "custom tools",
    "structured_output": "answers by schema",
}


@dataclass(frozen=True, slots=True)
class ModelListing:
    """The endpoints that match a query, and the default models."""

    endpoints: list[Endpoint]
    hidden: int
    default_model: str | None
    default_image_model: str | None
    is_whole: bool
    notes: tuple[str, ...] = ()
    mcp_servers: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the structured result."""
        structured = {
            "models": [_facts(endpoint, whole=self.is_whole) for endpoint in self.endpoints],
            "hidden": self.hidden,
            "default_model": self.default_model,
            "default_image_model": self.default_image_model,
            "mcp_servers": [_without_empty(name=name, description=text) for name, text in self.mcp_servers.items()]
            or None,
            "notes": list(self.notes) or None,
        }
        return {key: value for key, value in structured.items() if value is not None}

    def render_text(self) -> str:
        """Return the list as text, one line for each endpoint."""
        lines = [_line(endpoint, whole=self.is_whole) for endpoint in self.endpoints]
        lines = lines or ["No serving endpoint matches."]
        if self.hidden:
            verb = "is" if self.hidden == 1 else "are"
            lines.append(f"({self.hidden} more {verb} not shown here; all=true shows everything.)")
        model, image_model = self.default_model or _NO_DEFAULT, self.default_image_model or _NO_DEFAULT
        lines.append(f"Default model: {visible(model)}. Default image model: {visible(image_model)}.")
        if self.mcp_servers:
            lines.append("MCP servers that a call may name in mcp_servers:")
            lines += [
                f"{visible(name)}: {visible(text) or 'no description'}" for name, text in self.mcp_servers.items()
            ]
        lines += [visible(note) for note in self.notes]
        return "\n".join(lines)


async def list_models(
    bridge: Bridge, name_contains: str, *, capability: str | None = None, everything: bool, brief: bool = False
) -> ModelListing:
    """Return the endpoints whose name, here or in Unity Catalog, contains ``name_contains``, ignoring case.

    Args:
        capability: return only endpoints that are known to have it.
        everything: include endpoints that do not answer with text, and the MCP servers.
        brief: return at most thirty endpoints, only ready ones, without state and source of their capabilities.

    Raises:
        BridgeError: invalid_argument, for an unknown capability; as `EndpointDirectory.list`, if the request fails.
    """
    wanted = next((known for known in CAPABILITIES if known == capability), None)
    if capability is not None and wanted is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"Unknown capability: {quoted(capability)}.",
            f"Use one of {', '.join(CAPABILITIES)}.",
        )
    matching = [
        endpoint
        for endpoint in await bridge.endpoints.usable()
        if endpoint.matches(name_contains) and (wanted is None or wanted in endpoint.profile.can)
    ]
    shown = matching
    if not everything:
        shown = [e for e in shown if e.profile.is_askable]
    if brief:
        shown = [e for e in shown if e.ready][:_SHORT]
    servers, problems = await list_mcp_servers(bridge) if everything else ({}, ())
    return ModelListing(
        endpoints=shown,
        hidden=len(matching) - len(shown),
        default_model=bridge.settings.model or await _default(bridge.endpoints.default_text_model),
        default_image_model=bridge.settings.image_model or await _default(bridge.endpoints.default_image_model),
        is_whole=not brief,
        notes=(*bridge.endpoints.problems, *problems),
        mcp_servers=servers,
    )


async def list_mcp_servers(bridge: Bridge) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the names and descriptions of the configured MCP servers and of the MCP services of Unity Catalog.

    Those that the user's policy does not allow are left out.

    Returns:
        The servers, and sentences about what could not be listed.
    """
    services = await bridge.catalog.list("mcp-services")
    descriptions = {name: str(entry.get("comment") or "") for name, entry in services.entries.items()}
    servers = {**bridge.mcp_servers.configured, **dict(sorted(descriptions.items()))}
    if (policy := bridge.policy) is not None:
        servers = {name: about for name, about in servers.items() if policy.allows_mcp_server(name)}
    return servers, services.problems


def _without_empty(**texts: str) -> dict[str, str]:
    return {key: text for key, text in texts.items() if text}


async def _default(choose: Callable[[], Awaitable[str]]) -> str | None:
    """Return the model that a call without a model would use; None if there is none."""
    try:
        return await choose()
    except BridgeError:
        return None


async def describe_model(bridge: Bridge, name: str) -> str:
    """Return all that is known about a model, as JSON.

    Raises:
        BridgeError: model_not_found; as `EndpointDirectory.list`, if the request fails.
    """
    await bridge.endpoints.list()
    if (endpoint := await bridge.endpoints.get(name)) is not None:
        return json.dumps(_facts(endpoint, whole=True) | {"surfaces": endpoint.profile.surfaces}, indent=2)
    raise BridgeError(
        ErrorCode.MODEL_NOT_FOUND,
        f"The workspace lists no model {quoted(name)}.",
        "",
        advice=(Advice(Action.LIST_MODELS),),
    )


def _facts(endpoint: Endpoint, *, whole: bool) -> dict[str, Any]:
    profile = endpoint.profile
    structured: dict[str, Any] = {
        "name": endpoint.name,
        "class": profile.model_class,
        "surface": profile.surfaces[0],
        "can": [capability for capability in CAPABILITIES if capability in profile.can],
    }
    if whole:
        structured |= {
            "catalog_name": endpoint.catalog_name,
            "state": endpoint.state,
            "task": endpoint.task,
            "provider": endpoint.provider,
            "kind": endpoint.kind,
            "reason": profile.reason,
            "confidence": profile.confidence,
        }
    return {key: value for key, value in structured.items() if value is not None and value != ""}


def _line(endpoint: Endpoint, *, whole: bool) -> str:
    profile = endpoint.profile
    can = ", ".join(_CAPABILITY_LABELS[capability] for capability in CAPABILITIES if capability in profile.can)
    line = f"{visible(endpoint.name)}: {profile.model_class} ({profile.surfaces[0]}); {can or 'no text'}"
    if not whole:
        return line
    parts = [endpoint.state, endpoint.kind.replace("_", " "), endpoint.provider, endpoint.task]
    if endpoint.catalog_name:
        parts.append(f"in the catalog {endpoint.catalog_name}")
    details = ", ".join(visible(part) for part in parts if part)
    return f"{line}; {details}; {visible(profile.reason)} ({profile.confidence})"
