"""Agents: those that the workspace serves, and those that run as Databricks Apps."""

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.agent_events import AgentEvents
from databricks_responses_mcp.responses.agent_request import to_agent, to_agent_chat
from databricks_responses_mcp.workspace.surfaces.surface import Surface, at, invocations_of

AGENT = Surface(
    key="agent",
    speaks="the agents' Responses dialect",
    path=at("/serving-endpoints/responses"),
    translate=to_agent,
    reader=AgentEvents,
)
AGENT_INVOCATIONS = Surface(
    key="agent-invocations",
    speaks="the agents' Responses dialect at the endpoint's own path",
    path=invocations_of,
    translate=to_agent,
    reader=AgentEvents,
)

AGENT_CHAT = Surface(
    key="agent-chat",
    speaks="the chat dialect of agents",
    path=invocations_of,
    translate=to_agent_chat,
    reader=AgentEvents,
)


def _no_address(model: str) -> str:
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{model[:100]!r} names no App, and the surface app reaches nothing else.",
        "Name the App as apps/NAME, or leave the surface out.",
    )


APP = Surface(
    key="app",
    speaks="the agents' Responses dialect, at an App",
    path=_no_address,
    translate=to_agent,
    reader=AgentEvents,
)
