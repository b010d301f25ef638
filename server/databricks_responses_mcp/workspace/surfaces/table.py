"""The surfaces: the APIs through which a workspace serves models, one row each.

A row says where requests are sent, how they are translated and how the answer is read; the translations and their
reasons are in ``responses``.
"""

from urllib.parse import quote

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.agent_events import AgentEvents
from databricks_responses_mcp.responses.agent_request import to_agent, to_agent_chat
from databricks_responses_mcp.responses.chat_events import ChatEvents
from databricks_responses_mcp.responses.chat_request import to_chat
from databricks_responses_mcp.responses.gemini_events import GeminiEvents
from databricks_responses_mcp.responses.gemini_request import to_gemini
from databricks_responses_mcp.responses.open_request import to_open, to_supervisor
from databricks_responses_mcp.workspace.surfaces.surface import Surface, SurfaceKey, at, invocations_of


def _app_without_address(model: str) -> str:
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{model[:100]!r} names no App, and the surface app reaches nothing else.",
        "Name the App as apps/NAME, or leave the surface out.",
    )


def _generate_content(model: str) -> str:
    return f"/ai-gateway/gemini/v1beta/models/{quote(model, safe='')}:generateContent"


RESPONSES = Surface(key="responses", speaks="the Responses API", path=at("/serving-endpoints/responses"))
"""Pay-per-token OpenAI models, external OpenAI and Azure OpenAI: requests are sent unchanged."""

_ROWS = (
    RESPONSES,
    # Claude, Gemini, gpt-oss, Qwen and others in the format of the Responses API.
    Surface(
        key="open-responses",
        speaks="Open Responses",
        path=at("/serving-endpoints/open-responses"),
        translate=to_open,
    ),
    # Chat Completions: the unified API, with the model in the body or the endpoint in the path.
    Surface(
        key="chat",
        speaks="Chat Completions",
        path=at("/serving-endpoints/chat/completions"),
        translate=to_chat,
        reader=ChatEvents,
    ),
    Surface(
        key="invocations",
        speaks="Chat Completions at the endpoint's own path",
        path=invocations_of,
        translate=to_chat,
        reader=ChatEvents,
    ),
    # Agents: those that the workspace serves, and those that run as Databricks Apps.
    Surface(
        key="agent",
        speaks="the agents' Responses dialect",
        path=at("/serving-endpoints/responses"),
        translate=to_agent,
        reader=AgentEvents,
    ),
    Surface(
        key="agent-invocations",
        speaks="the agents' Responses dialect at the endpoint's own path",
        path=invocations_of,
        translate=to_agent,
        reader=AgentEvents,
    ),
    Surface(
        key="agent-chat",
        speaks="the chat dialect of agents",
        path=invocations_of,
        translate=to_agent_chat,
        reader=AgentEvents,
    ),
    # The router replaces the path by the App's own address.
    Surface(
        key="app",
        speaks="the agents' Responses dialect, at an App",
        path=_app_without_address,
        translate=to_agent,
        reader=AgentEvents,
    ),
    # Unity Gateway: models by their names in the catalog (``system.ai.…``), with tags for billing.
    Surface(
        key="gateway",
        speaks="the Responses API, through Unity Gateway",
        path=at("/ai-gateway/openai/v1/responses"),
        is_gateway=True,
    ),
    Surface(
        key="gateway-chat",
        speaks="Chat Completions, through Unity Gateway",
        path=at("/ai-gateway/mlflow/v1/chat/completions"),
        translate=to_chat,
        reader=ChatEvents,
        is_gateway=True,
    ),
    # Gemini's own API, for its models that generate images.
    Surface(
        key="gemini",
        speaks="Gemini's generateContent, through Unity Gateway",
        path=_generate_content,
        translate=to_gemini,
        reader=GeminiEvents,
        is_gateway=True,
    ),
    Surface(
        key="supervisor",
        speaks="the Supervisor API, through Unity Gateway",
        path=at("/ai-gateway/mlflow/v1/responses"),
        translate=to_supervisor,
        is_gateway=True,
        has_background=True,
        echoes=True,
    ),
)

SURFACES: dict[SurfaceKey, Surface] = {surface.key: surface for surface in _ROWS}
"""All surfaces by key."""
