"""The native Responses API: pay-per-token OpenAI models, external OpenAI and Azure OpenAI."""

from databricks_responses_mcp.workspace.surfaces.surface import Surface, at

RESPONSES = Surface(key="responses", speaks="the Responses API", path=at("/serving-endpoints/responses"))
