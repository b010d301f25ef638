"""``POST /serving-endpoints/open-responses``: the models of all vendors in one format."""

from typing import Any

from databricks_workspace_emulator.contract.open_request import read_open_request
from databricks_workspace_emulator.contract.request import ResponsesRequest, find_endpoint
from databricks_workspace_emulator.exchange import Incoming, Reply
from databricks_workspace_emulator.replies import wrong_path
from databricks_workspace_emulator.routes.responses import answer_by


async def create_open_response(incoming: Incoming) -> Reply:
    """Answer with the model that the body names, streamed or whole."""
    if not incoming.state.switches.open_responses:
        raise wrong_path(incoming.exchange.path)
    return await answer_by(incoming, _open)


async def _open(incoming: Incoming, value: dict[str, Any]) -> ResponsesRequest:
    return read_open_request(value, find_endpoint(value, incoming.state, incoming.user))
