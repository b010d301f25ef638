"""Chat Completions: the unified API, by the model in the body or by the endpoint in the path."""

from databricks_responses_mcp.responses.chat_events import ChatEvents
from databricks_responses_mcp.responses.chat_request import to_chat
from databricks_responses_mcp.workspace.surfaces.surface import Surface, at, invocations_of

CHAT = Surface(
    key="chat",
    speaks="Chat Completions",
    path=at("/serving-endpoints/chat/completions"),
    translate=to_chat,
    reader=ChatEvents,
)
INVOCATIONS = Surface(
    key="invocations",
    speaks="Chat Completions at the endpoint's own path",
    path=invocations_of,
    translate=to_chat,
    reader=ChatEvents,
)
