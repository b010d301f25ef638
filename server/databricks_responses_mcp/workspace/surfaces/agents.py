"""Agents: those that the workspace serves, and those that run as Databricks Apps."""

from databricks_responses_mcp.responses.agent_chat_request import to_agent_chat
from databricks_responses_mcp.responses.agent_events import AgentEvents
from databricks_responses_mcp.responses.agent_request import to_agent
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


def app_path(url: str) -> str:
    """Where an agent that runs as an App is asked: its address with ``/responses``, unless it has a path."""
    address = url.rstrip("/")
    return address if "/" in address.partition("://")[2] else f"{address}/responses"


APP = Surface(
    key="app",
    speaks="the agents' Responses dialect, at an App",
    path=app_path,
    translate=to_agent,
    reader=AgentEvents,
)
