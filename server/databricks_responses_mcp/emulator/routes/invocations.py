"""``POST /serving-endpoints/{name}/invocations``: the endpoint is in the path."""

from databricks_responses_mcp.emulator.contract.request import find_endpoint, parse_json
from databricks_responses_mcp.emulator.exchange import Incoming, Reply
from databricks_responses_mcp.emulator.fault_play import play_before
from databricks_responses_mcp.emulator.routes import agents, chat


async def invoke(incoming: Incoming) -> Reply:
    """Answer in the endpoint's own dialect: an agent's, or chat completions."""
    value = parse_json(incoming.raw) | {"model": incoming.path_params["name"]}
    endpoint = find_endpoint(value, incoming.state)
    if endpoint.kind != "agent":
        return await chat.complete(incoming, value)
    return await play_before(incoming) or await agents.respond(incoming, value)
