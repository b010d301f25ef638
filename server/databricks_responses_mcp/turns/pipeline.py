"""The path of one request, from what a caller wants to the model's answer.

Each step adds one thing and calls the next:

1. `send_without_refused_parts`: the conversation's history; a retry without a part that the endpoint refuses.
2. `send_metered`: the user's policy, budgets and rates before the request, usage recorded after it, secrets removed
   from what came back.
3. `send_with_readable_documents`, if there are documents: a retry with their text if the model takes none.
4. `send_with_surface_fallback`: the surface that serves the model; another one if the first was the wrong one.
5. `stream.send_one_stream`: one HTTP request and its streamed answer.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from databricks_responses_mcp.errors import Action, Advice, BridgeError, Feature, Reason
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.strict_schema import without_strict
from databricks_responses_mcp.responses.unsupported import UntranslatableError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.document_text import has_documents
from databricks_responses_mcp.turns.history import input_of
from databricks_responses_mcp.turns.model_suggestions import unsupported_by_surface, with_model_suggestion
from databricks_responses_mcp.turns.observation import ModelRequest, Observer
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.request_limits import within_request_limits
from databricks_responses_mcp.turns.request_policy import (
    allowed_routes,
    hold_to_policy,
    is_allowed_route,
    least_limit,
    needs_cap,
)
from databricks_responses_mcp.turns.stream import send_one_stream
from databricks_responses_mcp.turns.tool_secrets import tool_secrets
from databricks_responses_mcp.turns.usage import TurnUsage, request_usage
from databricks_responses_mcp.workspace.endpoints import wants_encrypted_reasoning
from databricks_responses_mcp.workspace.routing import Route, has_moved, is_wrong_route
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.surfaces.surface import Surface, SurfaceKey

T = TypeVar("T")

SURFACE = "surface"
"""The parameter of the bridge that forces a surface; it is not sent."""

Part = Literal["reasoning", "default_cap", "strict", "encrypted_reasoning"]
"""A part of a request that can be left out after an endpoint has refused it."""

_NATIVE = "responses"
_ENCRYPTED = "reasoning.encrypted_content"
_CAP = "max_output_tokens"
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
_MAX_PROBLEMS = 5


@dataclass(slots=True, kw_only=True)
class RequestParts:
    """What the next request of a conversation contains besides its history; less each time an endpoint refuses a part.

    Attributes:
        conversation: whose history is sent. The caller holds its lock ``turn``.
        parameters: of the request, as the caller and the conversation give them.
        asks_for_encrypted_reasoning: whether to ask for reasoning that can be sent again.
        has_default_cap: whether to add the configured default of ``max_output_tokens``.
        left_out: the parts that were refused.
    """

    conversation: Conversation
    parameters: Mapping[str, Any]
    asks_for_encrypted_reasoning: bool = False
    has_default_cap: bool = False
    left_out: set[Part] = field(default_factory=set)

    def sent_parameters(self, bridge: Bridge) -> dict[str, Any]:
        """Return the parameters together with those that the bridge adds."""
        return {**self.parameters, **self._include(bridge), **self._default_cap(bridge)}

    def leave_out_refused(self, error: BridgeError, bridge: Bridge, history: list[Item]) -> bool:
        """Leave out the part that a request was refused for; return whether the request can be sent again.

        Args:
            history: as the refused request contained it.
        """
        part = self._refused_part(error, bridge, history)
        if part is None:
            return False
        self.left_out.add(part)
        if part == "reasoning":
            self.conversation.unreadable = len(self.conversation.history)
        if part == "strict":
            self.parameters = without_strict(self.parameters) or self.parameters
            self.conversation.parameters = without_strict(self.conversation.parameters) or self.conversation.parameters
        return True

    def remember_refusals(self, bridge: Bridge) -> None:
        """Leave the refused parts out of later requests too: a request without them has been answered."""
        if "default_cap" in self.left_out:
            bridge.without_default_cap.add(self.conversation.endpoint)
        if "encrypted_reasoning" in self.left_out:
            bridge.without_encrypted_reasoning.add(self.conversation.endpoint)

    def advice(self, error: BridgeError, bridge: Bridge) -> tuple[Advice, ...]:
        """Return advice from what is known of the request, for an error that ends the turn."""
        if error.is_refusal and error.reason is Reason.OUTPUT_CAP_REFUSED and self._default_cap(bridge):
            return (Advice(Action.UNSET_LIMITS),)
        return ()

    def _refused_part(self, error: BridgeError, bridge: Bridge, history: list[Item]) -> Part | None:
        if not error.is_refusal:
            return None
        if error.reason is Reason.REASONING_UNREADABLE:
            has_reasoning = any(item.get("type") == "reasoning" for item in history)
            return "reasoning" if has_reasoning and "reasoning" not in self.left_out else None
        if error.reason is Reason.OUTPUT_CAP_REFUSED:
            # The limits of this server can only be enforced by a maximum in each request.
            limits = (bridge.settings.max_output_tokens, bridge.settings.daily_token_budget)
            is_needed = any(limit is not None for limit in limits) or needs_cap(bridge.policy)
            return "default_cap" if self._default_cap(bridge) and not is_needed else None
        if error.reason is Reason.STRICT_REFUSED:
            # Strict mode accepts only some schemas, and which ones changes.
            has_strict = error.status is not None and without_strict(self.parameters) is not None
            return "strict" if has_strict else None
        if not self._include(bridge):
            return None
        # The caller's own `include` may have been refused: then the caller must see the error.
        is_include = error.reason is Reason.INCLUDE_REFUSED and "include" not in self.parameters
        return "encrypted_reasoning" if is_include or error.reason is Reason.ENCRYPTED_REASONING_REFUSED else None

    def _default_cap(self, bridge: Bridge) -> dict[str, Any]:
        """Return ``max_output_tokens`` if the caller gave none and the endpoint accepts it.

        Rate limits reserve output tokens in advance: a request without a maximum reserves the model's largest.
        """
        default = bridge.settings.default_max_output_tokens
        most = least_limit(bridge.settings.max_output_tokens, bridge.policy)
        is_refused = "default_cap" in self.left_out or self.conversation.endpoint in bridge.without_default_cap
        if not self.has_default_cap or not default or _CAP in self.parameters or is_refused:
            return {}
        return {_CAP: default if most is None else min(default, most)}

    def _include(self, bridge: Bridge) -> dict[str, Any]:
        """Return the parameter that requests reasoning which can be sent again, if the endpoint returns it."""
        endpoint = self.conversation.endpoint
        if not self.asks_for_encrypted_reasoning or not wants_encrypted_reasoning(endpoint):
            return {}
        if "encrypted_reasoning" in self.left_out or endpoint in bridge.without_encrypted_reasoning:
            return {}
        given = self.parameters.get("include")
        if given is not None and (not isinstance(given, list) or _ENCRYPTED in given):
            return {}
        return {"include": [*(given or ()), _ENCRYPTED]}


async def send_without_refused_parts(
    bridge: Bridge,
    parts: RequestParts,
    send: Callable[[list[Item], dict[str, Any]], Awaitable[T]],
) -> T:
    """Call ``send`` with the history and the parameters of a request, and again without each part that is refused.

    Args:
        send: sends the history with these parameters, in one request or in several.

    Raises:
        BridgeError: every failure of ``send`` that leaving out a part does not resolve.
    """
    while True:
        parameters = parts.sent_parameters(bridge)
        history = await input_of(parts.conversation, parameters, bridge.read_picture)
        try:
            result = await send(history, parameters)
        except BridgeError as error:
            if not parts.leave_out_refused(error, bridge, history):
                raise error.with_advice(*parts.advice(error, bridge)) from error
        else:
            parts.remember_refusals(bridge)
            return result


async def send_metered(
    bridge: Bridge,
    body: dict[str, Any],
    call: CallContext,
    *,
    conversation_id: str | None = None,
    turn_usage: TurnUsage | None = None,
) -> Outcome:
    """Send a request within the token limits, and record its usage, also if it fails.

    The secrets of this process and of the request's tools are removed from everything that the workspace repeats.

    Args:
        turn_usage: receives the usage of the request, if its answer alone becomes the conversation's next turn.

    Raises:
        BridgeError: ``budget_exceeded`` and `PolicyError` before anything is sent, and every failure of
            `send_with_readable_documents`.
    """
    limited_by = await hold_to_policy(bridge, body, call)
    usage: Any = None
    outcome: Outcome | None = None
    endpoint = model = str(body["model"])
    of_tools = tuple(tool_secrets(body))
    secrets = call.secrets.with_more(of_tools)
    call.partial.hide(of_tools)
    if bridge.observer is not None:
        call = replace(call, conversation_id=conversation_id)
    async with bridge.token_budget.within_limits(body) as lowered, within_request_limits(bridge, body, call) as cost:
        call.record.add_request(endpoint, conversation_id)
        try:
            send = send_with_readable_documents if has_documents(body["input"]) else send_with_surface_fallback
            outcome = cleaned_outcome(await send(bridge, body, call), secrets)
            usage, model = outcome.usage, outcome.model
            call.record.add_answer(outcome.surface or _NATIVE)
        except BridgeError as error:
            cleaned = secrets.remove_from_error(error)
            usage, model = cleaned.partial.get("usage"), cleaned.partial.get("model", model)
            raise cleaned from error
        finally:
            spent = request_usage(
                usage, label=call.usage_label, endpoint=endpoint, model=model, conversation_id=conversation_id
            )
            cost.usage = spent
            if spent is not None:
                call.record.add_usage(spent)
            if spent is not None and (outcome is None or turn_usage is None):
                await bridge.token_budget.record(spent, call.record.log_fields)
        if spent is not None and turn_usage is not None:
            turn_usage.take(spent)
        if outcome.incomplete_reason != _CAP:
            return outcome
        if rule := cost.limited_by or limited_by:
            return replace(outcome, limited_by=rule)
        if lowered:
            return replace(outcome, limited_by="RESPONSES_MCP_DAILY_TOKEN_BUDGET", notes=(*outcome.notes, lowered))
        is_limit = bridge.token_budget.is_limit(body)
        return replace(outcome, limited_by="RESPONSES_MCP_MAX_OUTPUT_TOKENS") if is_limit else outcome


def cleaned_outcome(outcome: Outcome, secrets: SecretValues) -> Outcome:
    """Return an outcome without the secrets that the workspace has repeated."""
    fields = {name: getattr(outcome, name) for name in _FROM_UPSTREAM}
    cleaned = secrets.remove_from(fields)
    return outcome if cleaned is fields else replace(outcome, **cleaned)


async def send_with_readable_documents(bridge: Bridge, body: Mapping[str, Any], call: CallContext) -> Outcome:
    """Send a request; once more with the text of its documents if the model refuses documents.

    Raises:
        BridgeError: every failure of `send_with_surface_fallback`; for a refused document without readable text, the
            refusal with the reason.
    """
    model = str(body["model"])
    refusal: BridgeError | None = None
    if model not in bridge.without_documents:
        try:
            return await send_with_surface_fallback(bridge, body, call)
        except BridgeError as error:
            if error.feature is not Feature.FILES or not error.is_refusal:
                raise
            refusal = error.with_traceback(None)
    async with call.deadline.bounds("reading the text of the documents"):
        converted = await bridge.document_texts.convert(body["input"])
    if converted.problems and refusal is not None:
        hint = f"{' '.join(converted.problems[:_MAX_PROBLEMS])} {refusal.hint}"
        raise replace(refusal, hint=hint) from refusal
    outcome = await send_with_surface_fallback(bridge, {**body, "input": converted.items}, call)
    bridge.without_documents.add(model)
    return replace(outcome, notes=(*outcome.notes, *converted.notes))


async def send_with_surface_fallback(
    bridge: Bridge, body: Mapping[str, Any], call: CallContext, *, moved: Sequence[Route] = ()
) -> Outcome:
    """Send a request on the surface that serves its model, once more on another if the first was the wrong one.

    A surface that cannot express the request is skipped if another one can. A legacy name that model serving no longer
    knows is requested by its name in the catalog, through the gateway.

    Args:
        moved: the name and path that replace a legacy name; empty to look them up.

    Raises:
        BridgeError: every failure of `send_one_stream`, of the first surface if both fail; ``unsupported_by_model`` for
            what the surface cannot do, naming a model of the workspace that can.
    """
    model = str(body["model"])
    wanted = {key: value for key, value in body.items() if key != SURFACE}
    first: BridgeError | None = None
    unsaid: tuple[Surface, UntranslatableError] | None = None
    tried: set[SurfaceKey] = set()
    left = allowed_routes(bridge, moved or await _routes_to(bridge, body, call))
    while left:
        route = left.pop(0)
        surface = route.surface
        asked = wanted if route.model is None else {**wanted, "model": route.model}
        tried.add(surface.key)
        try:
            sent, left_out = (dict(asked), []) if surface.translate is None else surface.translate(asked)
            outcome = await _exchange(bridge, asked, sent, call, surface, model)
        except UntranslatableError as error:
            unsaid = unsaid or (surface, error.with_traceback(None))
            if route.confidence == "learned":
                # Learned from other requests: this request may need what only another surface has.
                others = await bridge.router.other_routes(model, route, tried)
                left = [other for other in others if is_allowed_route(bridge, other)]
            continue
        except BridgeError as error:
            if first is not None:
                # A second surface that began to answer is paid for: its text and usage must not be lost.
                if error.is_paid:
                    raise
                raise await with_model_suggestion(bridge, model, first) from error
            if not moved and has_moved(error, route, model):
                async with call.deadline.bounds("finding out how the model is reached"):
                    moved = await bridge.router.routes_after_move(model)
                if not moved:
                    raise
                return await _send_after_move(bridge, body, call, moved)
            if left and is_wrong_route(error, route):
                first = error.with_traceback(None)
                continue
            # Other failures, such as a rate limit or a broken connection, say nothing about the route.
            if route.confidence == "learned" and is_wrong_route(error, route):
                bridge.router.unlearn(model)
            raise await _last_error(bridge, model, error, unsaid) from error
        if route.confidence != "forced" and unsaid is None:
            bridge.router.learn(model, surface.key, route.model)
        return outcome if surface.key == _NATIVE else _with_route(outcome, route, model, left_out)
    raise first or await _inexpressible(bridge, model, unsaid)


def _exchange(
    bridge: Bridge,
    asked: Mapping[str, Any],
    sent: Mapping[str, Any],
    call: CallContext,
    surface: Surface,
    model: str,
) -> Coroutine[Any, Any, Outcome]:
    """Return the coroutine that sends one request, observed if there is an observer."""
    if bridge.observer is None:
        return send_one_stream(bridge.client, sent, call, surface=surface, model=model)
    return _send_observed(bridge, bridge.observer, asked, sent, call, surface, model)


async def _send_observed(
    bridge: Bridge,
    observer: Observer,
    asked: Mapping[str, Any],
    sent: Mapping[str, Any],
    call: CallContext,
    surface: Surface,
    model: str,
) -> Outcome:
    """Send a request with `send_one_stream` while the observer observes it.

    Args:
        asked: the request in the terms of the Responses API.
        sent: the request as the surface takes it.
    """
    async with call.deadline.bounds("signing in"):
        origin = await bridge.client.access.origin()
    request = ModelRequest(
        model=str(asked["model"]),
        surface=surface.key,
        body=asked,
        origin=origin,
        conversation_id=call.conversation_id,
    )
    with observer.observe(request) as observation:
        observed = replace(call, on_events=observation.receive)
        outcome = await send_one_stream(bridge.client, sent, observed, surface=surface, model=model)
        observation.complete(outcome)
        return outcome


async def _routes_to(bridge: Bridge, body: Mapping[str, Any], call: CallContext) -> list[Route]:
    model, forced = str(body["model"]), body.get(SURFACE)
    if (known := bridge.router.known_routes(model, forced=forced)) is not None:
        return known
    async with call.deadline.bounds("finding out how the model is reached"):
        return await bridge.router.routes(model, forced=forced)


async def _last_error(
    bridge: Bridge,
    model: str,
    error: BridgeError,
    unsaid: tuple[Surface, UntranslatableError] | None,
) -> BridgeError:
    """Return the error of a request that no other surface is left for."""
    if unsaid is not None and error.is_refusal and error.feature is None:
        # The reason for skipping the better surface is more useful than the refusal by the other one.
        return await _inexpressible(bridge, model, unsaid)
    return await with_model_suggestion(bridge, model, error)


async def _inexpressible(bridge: Bridge, model: str, unsaid: tuple[Surface, UntranslatableError] | None) -> BridgeError:
    """Return the error for a feature that no surface of the model can express."""
    assert unsaid is not None
    surface, untranslatable = unsaid
    error = await unsupported_by_surface(bridge, model, surface, untranslatable)
    error.__cause__ = untranslatable
    return error


def _with_route(outcome: Outcome, route: Route, model: str, left_out: Sequence[str]) -> Outcome:
    """Return an outcome that names the surface which answered, with the notes about the route."""
    notes = list(left_out)
    if route.model is not None:
        notes.append(f"{_moved(model, route)} Use that name from now on.")
    return replace(outcome, surface=route.surface.key, notes=(*outcome.notes, *notes))


async def _send_after_move(
    bridge: Bridge, body: Mapping[str, Any], call: CallContext, moved: Sequence[Route]
) -> Outcome:
    try:
        return await send_with_surface_fallback(bridge, body, call, moved=moved)
    except BridgeError as error:
        raise error.with_advice(Advice(Action.USE_NEW_NAME, str(moved[0].model))) from error


def _moved(model: str, route: Route) -> str:
    return f"The workspace no longer serves {model} under this name: {route.model} was asked through Unity Gateway."
