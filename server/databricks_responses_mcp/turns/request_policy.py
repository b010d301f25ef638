"""The user's policy, applied to a request in its last form, after aliases, defaults and what a conversation adds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.workspace.routing import Route

if TYPE_CHECKING:
    from databricks_responses_mcp.policy.access import AccessPolicy

_CAP = "max_output_tokens"
_STORED_CONTEXT = ("conversation", "previous_response_id")


async def hold_to_policy(bridge: Bridge, body: dict[str, Any], call: CallContext) -> str:
    """Refuse a request that the user's policy does not allow, or that may name what belongs to another user.

    What the policy prescribes is filled in.

    Args:
        body: of the request; ``max_output_tokens`` and ``tools`` may be changed.

    Returns:
        The rule that limits the length of the answer, if it is as long as it may be; else an empty text.

    Raises:
        PolicyError: naming the rule.
        BridgeError: ``permission_denied`` for what the workspace stores for all users together.
    """
    if bridge.has_shared_identity:
        _check_stored_context(body)
    policy = bridge.policy
    if policy is None:
        return ""
    model = str(body["model"])
    if policy.has_model_rules:
        async with call.deadline.bounds("looking up the model"):
            endpoint = await bridge.endpoints.get(model)
        policy.check_model(model, () if endpoint is None else endpoint.served)
    # In a thread: a request may have any number of tools.
    await anyio.to_thread.run_sync(policy.hold, body)
    rule = policy.max_output_tokens
    if rule is None:
        return ""
    wanted = body.setdefault(_CAP, rule.value)
    if type(wanted) is not int or wanted > rule.value:
        policy.refuse(f"{_CAP} {str(wanted)[:40]}", f"{rule.place} = {rule.value}")
    return rule.place if wanted == rule.value else ""


def allowed_routes(bridge: Bridge, routes: Sequence[Route]) -> list[Route]:
    """Return the routes whose surfaces the user's policy allows.

    Raises:
        PolicyError: if it allows none of them.
    """
    allowed = [route for route in routes if is_allowed_route(bridge, route)]
    if routes and not allowed:
        assert bridge.policy is not None
        bridge.policy.refuse_surfaces([route.surface.key for route in routes])
    return allowed


def is_allowed_route(bridge: Bridge, route: Route) -> bool:
    """Return whether the user's policy allows the surface of a route, and the name that the model has there."""
    policy = bridge.policy
    if policy is None:
        return True
    return policy.allows_surface(route.surface.key) and (route.model is None or policy.allows_model(route.model))


def least_limit(limit: int | None, policy: "AccessPolicy | None") -> int | None:
    """Return the smaller one of a limit of ``max_output_tokens`` and that of a policy; None if there is neither."""
    rule = None if policy is None else policy.max_output_tokens
    if rule is None:
        return limit
    return int(rule.value) if limit is None else min(limit, int(rule.value))


def needs_cap(policy: "AccessPolicy | None") -> bool:
    """Return whether a policy can only be enforced with ``max_output_tokens`` in each request."""
    return policy is not None and any(
        (policy.max_output_tokens, policy.user_limits.tokens_per_day, policy.total_limits.tokens_per_day)
    )


def _check_stored_context(body: Mapping[str, Any]) -> None:
    """Refuse to continue what the workspace stores: its id may be that of another user of the service."""
    named = [name for name in _STORED_CONTEXT if body.get(name) is not None]
    given = body.get("input")
    if isinstance(given, list | tuple) and any(
        isinstance(item, Mapping) and item.get("type") == "item_reference" for item in given
    ):
        named.append("item_reference")
    if named:
        raise BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"{named[0]} is not allowed, because this service calls the workspace with the same credentials for all "
            "its users. Nothing was sent.",
            "Leave it out, and continue by the conversation_id of the earlier result.",
        )
