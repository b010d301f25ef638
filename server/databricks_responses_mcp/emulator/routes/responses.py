"""``POST /serving-endpoints/responses``."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from databricks_responses_mcp.emulator.answering import answer, begin
from databricks_responses_mcp.emulator.contract.request import find_endpoint, parse_json, read_request
from databricks_responses_mcp.emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_responses_mcp.emulator.fault_play import play_before, play_in_stream
from databricks_responses_mcp.emulator.faults import first
from databricks_responses_mcp.emulator.routes import agents
from databricks_responses_mcp.emulator.sse import CONTENT_TYPE, HEADERS
from databricks_responses_mcp.emulator.state import EmulatorState
from databricks_responses_mcp.emulator.turn import Turn
from databricks_responses_mcp.emulator.writer import Event


async def create_response(incoming: Incoming) -> Reply:
    """Answer, streamed or whole."""
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    state = incoming.state
    if state.current_hold is not None:
        await state.current_hold.wait(0)
    value = parse_json(incoming.raw)
    if find_endpoint(value, state).kind == "agent":
        return await agents.respond(incoming, value)
    request = read_request(value, state)
    turn = await begin(request, state.engine)
    events = _remembering(turn, state)
    if request.body.stream:
        return Reply(play_in_stream(incoming, events), content_type=CONTENT_TYPE, headers=HEADERS)
    if first(incoming.faults, "cut", "no_terminal", "close"):
        raise Aborted
    last: Event = {}
    async for event in events:
        last = event
    return json_reply(last["response"])


async def _remembering(turn: Turn, state: EmulatorState) -> AsyncGenerator[Event]:
    async with aclosing(answer(turn)) as events:
        async for event in events:
            response = event.get("response")
            if response and not turn.request.endpoint.pay_per_token and response["status"] != "in_progress":
                state.remember(response["id"], [*turn.request.items, *response["output"]])
            yield event
