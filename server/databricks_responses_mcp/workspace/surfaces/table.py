"""All surfaces by key."""

from databricks_responses_mcp.workspace.surfaces.agents import AGENT, AGENT_CHAT, AGENT_INVOCATIONS, APP
from databricks_responses_mcp.workspace.surfaces.chat import CHAT, INVOCATIONS
from databricks_responses_mcp.workspace.surfaces.gateway import GATEWAY, GATEWAY_CHAT, SUPERVISOR
from databricks_responses_mcp.workspace.surfaces.gemini import GEMINI
from databricks_responses_mcp.workspace.surfaces.native import RESPONSES
from databricks_responses_mcp.workspace.surfaces.open_responses import OPEN_RESPONSES
from databricks_responses_mcp.workspace.surfaces.surface import Surface, SurfaceKey

SURFACES: dict[SurfaceKey, Surface] = {
    surface.key: surface
    for surface in (
        RESPONSES,
        OPEN_RESPONSES,
        CHAT,
        INVOCATIONS,
        AGENT,
        AGENT_INVOCATIONS,
        AGENT_CHAT,
        APP,
        GATEWAY,
        GATEWAY_CHAT,
        GEMINI,
        SUPERVISOR,
    )
}
