"""A request to a model on the surface that serves it; another one, once, where the first is the wrong way."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode, Feature, Reason
from databricks_responses_mcp.responses.unsupported import UntranslatableError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.stream import exchange
from databricks_responses_mcp.turns.tool_secrets import tool_secrets
from databricks_responses_mcp.workspace.model_profile import Capability
from databricks_responses_mcp.workspace.routing import Way, leads_elsewhere

SURFACE = "surface"
"""The parameter of ours that forces one; it is not sent."""

_NATIVE = "responses"
_FROM_UPSTREAM = (
    "text",
    "model",
    "response_id",
    "incomplete_reason",
    "refusal",
    "pending_calls",
    "citations",
    "output",
    "extras",
    "items",
    "notes",
)
_UNAUTHENTICATED = (401, 403)
_APPS_TAKE_OAUTH = (
    "Databricks Apps take OAuth tokens only, no personal access tokens: sign in with `databricks auth login` and a "
    "profile, or as a service principal that may use the App."
)
_CAPABILITIES: Mapping[str, Capability] = {
    Feature.CUSTOM_TOOLS: "custom_tools",
    Feature.WEB_SEARCH: "web_search",
    Feature.IMAGE_GENERATION: "image_generation",
    Feature.IMAGES: "images",
    Feature.STRUCTURED_OUTPUT: "structured_output",
    Feature.APPLY_PATCH: "custom_tools",
    Feature.SHELL: "custom_tools",
    Feature.MCP: "web_search",
    # Both are for pay-per-token models that the native API serves, which is who searches the web.
    Feature.SERVICE_TIER: "web_search",
}


async def reach(bridge: Bridge, body: Mapping[str, Any], call: CallContext) -> Outcome:
    """As `exchange`, on the surface that serves the model; ``outcome.surface`` says which.

    What an upstream repeats of the secrets of this process and of the request's tools is taken out, before it is kept
    or shown.

    Raises:
        BridgeError: every failure of `exchange`, of the first surface if both fail; ``unsupported_by_model`` for what
            the surface cannot do, naming a model of the workspace that can.
    """
    secrets = call.secrets.with_more(tool_secrets(body))
    call.partial.hide(secrets)
    try:
        outcome = await _reach(bridge, body, call)
    except BridgeError as error:
        raise secrets.remove_from_error(error) from error
    return replace(outcome, **secrets.remove_from({name: getattr(outcome, name) for name in _FROM_UPSTREAM}))


async def _reach(bridge: Bridge, body: Mapping[str, Any], call: CallContext) -> Outcome:
    model = str(body["model"])
    wanted = {key: value for key, value in body.items() if key != SURFACE}
    async with call.deadline.bounds("finding out how the model is reached"):
        ways = await bridge.router.ways(model, forced=body.get(SURFACE))
    first: BridgeError | None = None
    for way in ways:
        try:
            return await _go(bridge, way, wanted, call)
        except UntranslatableError as error:
            raise first or await _unsupported(bridge, model, way, error) from error
        except BridgeError as error:
            if first is not None:
                # One that had begun to answer is paid for: what arrived and its usage must not be lost.
                if error.is_paid:
                    raise
                raise await _advised(bridge, model, first) from error
            if way is ways[-1] or not leads_elsewhere(error, way):
                # A limit or a broken line says nothing about the way.
                if way.confidence == "learned" and leads_elsewhere(error, way):
                    bridge.router.unlearn(model)
                if way.surface.key == "app" and (
                    error.status in _UNAUTHENTICATED or error.reason is Reason.SIGN_IN_PAGE
                ):
                    error = error.with_hint(_APPS_TAKE_OAUTH)
                raise await _advised(bridge, model, error) from error
            first = error
    assert first is not None
    raise first


async def _go(bridge: Bridge, way: Way, wanted: Mapping[str, Any], call: CallContext) -> Outcome:
    surface = way.surface
    sent, left_out = (dict(wanted), []) if surface.translate is None else surface.translate(wanted)
    outcome = await exchange(bridge.client, sent, call, surface=surface, model=str(wanted["model"]))
    if way.confidence != "forced":
        bridge.router.learn(str(wanted["model"]), surface.key)
    if surface.key == _NATIVE:
        return outcome
    notes = (f"{surface.speaks}: left out {', '.join(left_out)}.",) if left_out else ()
    return replace(outcome, surface=surface.key, notes=(*outcome.notes, *notes))


async def _unsupported(bridge: Bridge, model: str, way: Way, error: UntranslatableError) -> BridgeError:
    other = await _one_that_has(bridge, error.feature, but=model)
    return BridgeError(
        ErrorCode.UNSUPPORTED_BY_MODEL,
        f"{model} is reached by {way.surface.speaks}, which has no {error.feature}: {error}",
        other or "Leave it out, or use a model that the native Responses API serves.",
    )


async def _advised(bridge: Bridge, model: str, error: BridgeError) -> BridgeError:
    """The error with the name of a model that exists, or of one that has what this one has not."""
    if error.code is ErrorCode.MODEL_NOT_FOUND and (similar := await bridge.endpoints.similar(model)):
        return error.with_hint(f"Did you mean {' or '.join(similar)}? {error.hint}")
    if error.feature is not None and (other := await _one_that_has(bridge, error.feature, but=model)):
        return error.with_hint(f"{error.hint} {other}")
    return error


async def _one_that_has(bridge: Bridge, feature: str, *, but: str) -> str:
    capability = _CAPABILITIES.get(feature)
    name = await bridge.endpoints.one_that_can(capability, but=but) if capability is not None else None
    return f"In this workspace {name} has it." if name else ""
