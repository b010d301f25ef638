"""Gemini's own API, through Unity Gateway: the way to the models of its kind that draw."""

from urllib.parse import quote

from databricks_responses_mcp.responses.gemini_events import GeminiEvents
from databricks_responses_mcp.responses.gemini_request import to_gemini
from databricks_responses_mcp.workspace.surfaces.surface import Surface


def _path(model: str) -> str:
    return f"/ai-gateway/gemini/v1beta/models/{quote(model, safe='')}:generateContent"


GEMINI = Surface(
    key="gemini",
    speaks="Gemini's generateContent, through Unity Gateway",
    path=_path,
    translate=to_gemini,
    reader=GeminiEvents,
    is_gateway=True,
)
