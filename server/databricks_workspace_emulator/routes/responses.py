"""``POST /serving-endpoints/responses``."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from databricks_workspace_emulator.catalogue import RESPONSES_API
from databricks_workspace_emulator.contract.request import (
    ResponsesRequest,
    find_endpoint,
    parse_json,
    read_request,
    require_surface,
)
from databricks_workspace_emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_workspace_emulator.fault_injection import play_before, play_in_stream
from databricks_workspace_emulator.faults import first
from databricks_workspace_emulator.responder import answer, begin
from databricks_workspace_emulator.routes import agents
from databricks_workspace_emulator.sse import CONTENT_TYPE, HEADERS
from databricks_workspace_emulator.state import EmulatorState
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event


async def create_response(incoming: Incoming) -> Reply:
    """Answer with the endpoint that the body names, streamed or whole."""
    return await answer_by(incoming, _native_or_agent)


async def answer_by(
    incoming: Incoming, contract: Callable[[Incoming, dict[str, Any]], Awaitable[ResponsesRequest | Reply]]
) -> Reply:
    """Handle a request of any surface of the Responses API: faults first, then the surface's contract, then the answer.

    Args:
        contract: reads the body by the surface's rules, or returns the whole reply.
    """
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    state = incoming.state
    if state.current_hold is not None:
        await state.current_hold.wait(0)
    request = await contract(incoming, parse_json(incoming.raw))
    if isinstance(request, Reply):
        return request
    turn = await begin(request, state)
    events = _remembering(turn, state)
    if request.body.stream:
        return Reply(play_in_stream(incoming, events), content_type=CONTENT_TYPE, headers=HEADERS)
    if first(incoming.faults, "cut", "no_terminal", "close"):
        raise Aborted
    last: Event = {}
    async for event in events:
        last = event
    return json_reply(last["response"])


async def _native_or_agent(incoming: Incoming, value: dict[str, Any]) -> ResponsesRequest | Reply:
    endpoint = find_endpoint(value, incoming.state, incoming.user)
    if endpoint.kind == "agent":
        return await agents.respond(incoming, endpoint, value)
    require_surface(endpoint, RESPONSES_API)
    return read_request(value, endpoint, incoming.state)


async def _remembering(turn: Turn, state: EmulatorState) -> AsyncGenerator[Event]:
    async with aclosing(answer(turn)) as events:
        async for event in events:
            response = event.get("response")
            if response and not turn.request.endpoint.pay_per_token and response["status"] != "in_progress":
                state.remember(response["id"], [*turn.request.items, *response["output"]])
            yield event
