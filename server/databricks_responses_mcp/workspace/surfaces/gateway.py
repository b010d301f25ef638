"""Unity Gateway: models by their names in the catalog (``system.ai.…``), with tags for the bill."""

from databricks_responses_mcp.responses.chat_events import ChatEvents
from databricks_responses_mcp.responses.chat_request import to_chat
from databricks_responses_mcp.responses.open_request import to_supervisor
from databricks_responses_mcp.workspace.surfaces.surface import Surface, at

GATEWAY = Surface(
    key="gateway",
    speaks="the Responses API, through Unity Gateway",
    path=at("/ai-gateway/openai/v1/responses"),
    is_gateway=True,
)
GATEWAY_CHAT = Surface(
    key="gateway-chat",
    speaks="Chat Completions, through Unity Gateway",
    path=at("/ai-gateway/mlflow/v1/chat/completions"),
    translate=to_chat,
    reader=ChatEvents,
    is_gateway=True,
)
SUPERVISOR = Surface(
    key="supervisor",
    speaks="the Supervisor API, through Unity Gateway",
    path=at("/ai-gateway/mlflow/v1/responses"),
    translate=to_supervisor,
    is_gateway=True,
    has_background=True,
    echoes=True,
)
