"""Suggestions of another model of the workspace, for the errors of requests that their model cannot serve."""

from collections.abc import Mapping
from dataclasses import replace

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, Feature, Reason
from databricks_responses_mcp.responses.unsupported import UntranslatableError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.model_profile import Capability
from databricks_responses_mcp.workspace.surfaces.surface import Surface

_CAPABILITIES: Mapping[str, Capability] = {
    Feature.CUSTOM_TOOLS: "custom_tools",
    Feature.WEB_SEARCH: "web_search",
    Feature.IMAGE_GENERATION: "image_generation",
    Feature.IMAGES: "images",
    Feature.STRUCTURED_OUTPUT: "structured_output",
    Feature.APPLY_PATCH: "custom_tools",
    Feature.SHELL: "custom_tools",
    Feature.MCP: "web_search",
    # MCP and service tiers are for pay-per-token models on the native API, which are those that search the web.
    Feature.SERVICE_TIER: "web_search",
}


async def unsupported_by_surface(
    bridge: Bridge, model: str, surface: Surface, error: UntranslatableError
) -> BridgeError:
    """Return the error for a feature that the model's surface does not have, naming a model that has it."""
    other = await _one_that_has(bridge, error.feature, but=model)
    hint = "" if other else "Leave it out, or use a model that the native Responses API serves."
    return BridgeError(
        ErrorCode.UNSUPPORTED_BY_MODEL,
        f"{model} is reached by {surface.speaks}, which has no {error.feature}: {error}",
        hint,
        advice=other,
        reason=Reason.FEATURE_MISSING,
        feature=next((feature for feature in Feature if feature.value == error.feature), None),
    )


async def with_model_suggestion(bridge: Bridge, model: str, error: BridgeError) -> BridgeError:
    """Return ``error`` with the models that have a similar name as advice, or one that has the missing feature."""
    if error.code is ErrorCode.MODEL_NOT_FOUND and bridge.endpoints.has_no_listing:
        return replace(
            error,
            hint="This server has no listing of models: take the name from its own documentation, and check "
            "RESPONSES_MCP_RESPONSES_PATH.",
            advice=(),
        )
    if error.code is ErrorCode.MODEL_NOT_FOUND and (similar := await bridge.endpoints.similar(model)):
        return error.with_advice(Advice(Action.USE_NAME, " or ".join(similar)))
    if error.feature is not None and (other := await _one_that_has(bridge, error.feature, but=model)):
        return error.with_advice(*other)
    return error


async def _one_that_has(bridge: Bridge, feature: str, *, but: str) -> tuple[Advice, ...]:
    capability = _CAPABILITIES.get(feature)
    name = await bridge.endpoints.one_that_can(capability, but=but) if capability is not None else None
    return (Advice(Action.USE_MODEL, name),) if name else ()
