"""``GET /api/2.0/serving-endpoints`` and ``/{name}``."""

from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.replies import workspace_error, wrong_path


async def list_endpoints(incoming: Incoming) -> Reply:
    """Return all endpoints."""
    visible = incoming.state.visible_endpoints(incoming.user)
    return json_reply({"endpoints": [endpoint.listing() for endpoint in visible.values()]})


async def get_endpoint(incoming: Incoming) -> Reply:
    """Return one endpoint."""
    name = incoming.path_params["name"]
    endpoint = incoming.state.visible_endpoints(incoming.user).get(name)
    if endpoint is None:
        raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", f"Endpoint with name '{name}' does not exist.")
    return json_reply(endpoint.details())


async def no_such_path(incoming: Incoming) -> Reply:
    """Return the error for any other path."""
    raise wrong_path(incoming.exchange.path)


async def no_such_method(incoming: Incoming) -> Reply:
    """Return the error for a known path with a wrong method."""
    raise workspace_error(405, "BAD_REQUEST", f"Method {incoming.exchange.method} is not allowed on this path.")
