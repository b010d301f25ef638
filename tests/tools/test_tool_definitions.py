"""What hosts see of the tools: policy, cost, and the exact definitions."""

import json
import os
from typing import Any

import pytest

from databricks_responses_mcp.tools.definitions import FOLDER, NAMES
from databricks_responses_mcp.tools.registry import all_tools

_PLAINLY_NONE = (
    "mask",
    "output_compression",
    "instructions",
    "idempotency_key",
    "contains",
    "conversation_id",
    "instruction",
    "preview_id",
)
TOOLS = {tool.name: tool for tool in all_tools()}


def definition(name: str) -> dict[str, Any]:
    tool = TOOLS[name]
    assert tool.annotations is not None
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "annotations": tool.annotations.model_dump(by_alias=True, exclude_none=True),
        "inputSchema": tool.parameters,
        "outputSchema": tool.output_schema,
    }


def size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def subschemas(schema: Any) -> list[dict[str, Any]]:
    found = [schema] if isinstance(schema, dict) else []
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for child in children:
        found += subschemas(child)
    return found


@pytest.mark.parametrize("name", TOOLS)
def test_the_definition_is_the_one_that_was_reviewed(name: str) -> None:
    """``UPDATE_DEFINITIONS=1 pytest tests/tools/test_tool_definitions.py`` writes the files anew."""
    file = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_DEFINITIONS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(definition(name), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert json.loads(file.read_text(encoding="utf-8")) == definition(name)


def test_every_tool_has_its_definition_and_none_is_left_over() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(TOOLS) == set(NAMES)


def test_the_tools_are_cheap() -> None:
    # Each call of a host's model costs the first; hosts truncate lists that are larger than the second.
    read = sum(
        size({"name": tool.name, "description": tool.description, "inputSchema": tool.parameters})
        for tool in TOOLS.values()
    )
    whole = sum(size(definition(name)) for name in TOOLS)
    assert read <= 10_000
    assert whole <= 24_000


@pytest.mark.parametrize("name", TOOLS)
def test_every_annotation_is_explicit(name: str) -> None:
    annotations = definition(name)["annotations"]
    assert {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"} <= annotations.keys()


@pytest.mark.parametrize("name", TOOLS)
def test_the_description_says_what_when_and_at_what_cost(name: str) -> None:
    description = TOOLS[name].description
    assert 80 < len(description) < 600
    assert "\nUse when " in description
    assert description.rstrip().endswith(("Costs tokens.", "Free."))


@pytest.mark.parametrize("name", TOOLS)
def test_the_file_is_named_after_the_tool_and_the_tool_in_snake_case(name: str) -> None:
    assert TOOLS[name].fn.__module__.rpartition(".")[2] == name
    assert name.replace("_", "").isalpha()
    assert name == name.lower()


@pytest.mark.parametrize("name", TOOLS)
def test_every_parameter_is_described_with_its_default_in_prose(name: str) -> None:
    required = TOOLS[name].parameters.get("required", [])
    for parameter, schema in TOOLS[name].parameters["properties"].items():
        assert schema.get("description"), parameter
        plain = schema["type"] in ("array", "object") or parameter in _PLAINLY_NONE
        assert parameter in required or plain or "efault" in schema["description"], parameter


@pytest.mark.parametrize("kind", ["inputSchema", "outputSchema"])
@pytest.mark.parametrize("name", TOOLS)
def test_the_schema_is_one_that_every_host_takes(name: str, kind: str) -> None:
    schema = definition(name)[kind]
    assert schema["type"] == "object"
    for sub in subschemas(schema):
        assert not {"anyOf", "oneOf", "allOf", "not", "ge", "le", "gt", "lt"} & sub.keys()
        assert not isinstance(sub.get("type"), list)
        assert sub.get("default", "") is not None


@pytest.mark.parametrize("name", TOOLS)
def test_the_input_schema_is_flat_and_closed(name: str) -> None:
    schema = TOOLS[name].parameters
    assert schema["additionalProperties"] is False
    assert "$defs" not in schema
    for property_schema in schema["properties"].values():
        assert property_schema["type"] in ("string", "integer", "number", "boolean", "array", "object")
