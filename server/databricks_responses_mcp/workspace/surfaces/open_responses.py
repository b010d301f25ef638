"""Open Responses: Claude, Gemini, gpt-oss, Qwen and others in the words of the Responses API."""

from databricks_responses_mcp.responses.open_request import to_open
from databricks_responses_mcp.workspace.surfaces.surface import Surface, at

OPEN_RESPONSES = Surface(
    key="open-responses",
    speaks="Open Responses",
    path=at("/serving-endpoints/open-responses"),
    translate=to_open,
)
