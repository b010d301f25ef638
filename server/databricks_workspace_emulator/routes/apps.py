"""Databricks Apps that are agents: found by ``GET /api/2.0/apps/{name}``, requested at their own address, OAuth
only.
"""

from typing import Any

from databricks_workspace_emulator.authentication import sent_token
from databricks_workspace_emulator.contract.request import parse_json
from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.fault_injection import play_before
from databricks_workspace_emulator.replies import ApiError, workspace_error
from databricks_workspace_emulator.routes import agents
from databricks_workspace_emulator.switches import token_kind

_SIGN_IN = "/login.html?next_url="


async def list_apps(incoming: Incoming) -> Reply:
    """Return all apps."""
    return json_reply({"apps": [_shown(incoming, name) for name in incoming.state.apps]})


async def get_app(incoming: Incoming) -> Reply:
    """Return one app and its address."""
    name = incoming.path_params["name"]
    if name not in incoming.state.apps:
        message = f"App with name {name} does not exist or is deleted."
        raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", message)
    return json_reply(_shown(incoming, name))


async def ask_app(incoming: Incoming) -> Reply:
    """Answer as the app's agent; without an OAuth token, redirect to the sign-in page."""
    token = sent_token(incoming.authorization)
    if token is None or token_kind(token) == "personal":
        return Reply(b"", 302, "text/html; charset=utf-8", {"location": f"{_SIGN_IN}{incoming.exchange.path}"})
    if incoming.state.user_of(token) is None:
        raise ApiError(401, "Unauthorized")
    app = incoming.state.apps.get(incoming.path_params["name"])
    if app is None:
        raise ApiError(404, "Not Found")
    return await play_before(incoming) or await agents.respond(incoming, app, parse_json(incoming.raw))


async def sign_in(incoming: Incoming) -> Reply:
    """Return the page for signing in."""
    page = "<!DOCTYPE html><html><head><title>Databricks - Sign In</title></head><body>Sign in</body></html>"
    return Reply(page.encode(), 200, "text/html; charset=utf-8")


def _shown(incoming: Incoming, name: str) -> dict[str, Any]:
    host = incoming.exchange.headers.get("host", "127.0.0.1")
    return {
        "name": name,
        "description": "An agent, as the embedded workspace plays it.",
        "url": f"http://{host}/apps/{name}",
        "app_status": {"state": "RUNNING", "message": "App has status: App is running"},
        "compute_status": {"state": "ACTIVE", "message": "App compute is active."},
        "creator": "someone@example.com",
    }
