"""The contract of ``/ai-gateway/codex/v1/responses``: the native one, with Codex's additions to its requests."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from databricks_workspace_emulator.catalogue import Endpoint
from databricks_workspace_emulator.contract.request import ResponsesRequest, read_request
from databricks_workspace_emulator.contract.shapes import MAX_ID_LENGTH, Name, Shape, read
from databricks_workspace_emulator.contract.tools import NAMESPACE, read_tools
from databricks_workspace_emulator.replies import invalid
from databricks_workspace_emulator.state import EmulatorState


class _Namespace(Shape):
    type: Literal["namespace"]
    name: str = Name
    description: str | None = None
    tools: list[dict[str, Any]] = Field(min_length=1)


class _Added(Shape, extra="ignore"):
    client_metadata: dict[str, str] | None = None
    tools: list[dict[str, Any]] | None = None


def read_codex_request(value: dict[str, Any], endpoint: Endpoint, state: EmulatorState) -> ResponsesRequest:
    """Apply the contract; ``client_metadata``, ``store: false`` and tools of type ``namespace`` are accepted.

    Ids of items that are longer than the API accepts are accepted too: Codex returns items as received.

    Raises:
        ApiError: the workspace's refusal.
    """
    added = read(_Added, value)
    tools = added.tools or []
    for index, tool in enumerate(tools):
        if tool.get("type") == NAMESPACE:
            _read_namespace(tool, f"tools[{index}]", endpoint)
    plain = {key: field for key, field in value.items() if key != "client_metadata"}
    if plain.get("store") is False:
        del plain["store"]
    if isinstance(plain.get("input"), list):
        plain["input"] = [_without_long_id(item) for item in plain["input"]]
    plain["tools"] = [tool for tool in tools if tool.get("type") != NAMESPACE]
    return replace(read_request(plain, endpoint, state), tools=tools)


def _without_long_id(item: object) -> object:
    if isinstance(item, dict) and isinstance(item.get("id"), str) and len(item["id"]) > MAX_ID_LENGTH:
        return {key: field for key, field in item.items() if key != "id"}
    return item


def _read_namespace(tool: dict[str, Any], where: str, endpoint: Endpoint) -> None:
    for index, inner in enumerate(read(_Namespace, tool, where).tools):
        if inner.get("type") not in ("function", "custom"):
            raise invalid(f"{where}.tools[{index}].type", "Expected 'function' or 'custom'.")
    read_tools(tool["tools"], endpoint)
