"""``POST /serving-endpoints/{name}/invocations``: the endpoint is in the path."""

from databricks_workspace_emulator.catalogue import CHAT_API
from databricks_workspace_emulator.contract.request import find_endpoint, parse_json, require_surface
from databricks_workspace_emulator.exchange import Incoming, Reply
from databricks_workspace_emulator.fault_injection import play_before
from databricks_workspace_emulator.routes import agents, chat


async def invoke(incoming: Incoming) -> Reply:
    """Answer in the endpoint's own format: an agent's, or chat completions."""
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    value = parse_json(incoming.raw) | {"model": incoming.path_params["name"]}
    endpoint = find_endpoint(value, incoming.state, incoming.user)
    if endpoint.kind == "agent":
        return await agents.respond(incoming, endpoint, value)
    require_surface(endpoint, CHAT_API)
    return await chat.complete(incoming, endpoint, value)
