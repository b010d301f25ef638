"""``/ai-gateway/mcp-services/{name}``: the MCP services of Unity Catalog, over Streamable HTTP. Nothing is searched."""

import json
from typing import Any
from urllib.parse import quote_plus

from databricks_workspace_emulator.contract.request import parse_json
from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.replies import workspace_error

_VERSION = "2025-06-18"
_METHOD_NOT_FOUND = -32601
_SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


async def serve(incoming: Incoming) -> Reply:
    """Answer one JSON-RPC message."""
    name = incoming.path_params["name"]
    if name not in incoming.state.mcp_services:
        raise workspace_error(404, "RESOURCE_DOES_NOT_EXIST", f"'{name}' does not exist")
    message = parse_json(incoming.raw)
    if "id" not in message:
        return Reply(b"", 202)
    method = str(message.get("method"))
    if method in incoming.state.mcp_faults:
        incoming.state.mcp_faults.remove(method)
        raise workspace_error(503, "TEMPORARILY_UNAVAILABLE", f"'{name}' is not available.")
    result = _result(name, method, message.get("params") or {})
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        return json_reply({**answer, "error": {"code": _METHOD_NOT_FOUND, "message": "Method not found"}})
    return json_reply({**answer, "result": result})


def _result(service: str, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    if method == "initialize":
        return {
            "protocolVersion": _VERSION,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": service, "version": "1"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        name = service.rpartition(".")[2]
        return {"tools": [{"name": name, "description": f"{name}, made up.", "inputSchema": _SCHEMA}]}
    if method == "tools/call":
        query = str((params.get("arguments") or {}).get("query"))[:200]
        found = [
            {
                "title": f"Result {number}",
                "url": f"https://example.com/{number}?q={quote_plus(query)}",
                "text": "Made up.",
            }
            for number in (1, 2)
        ]
        return {"content": [{"type": "text", "text": json.dumps(found)}], "isError": False}
    return None
