"""The limits of a caller's schema."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.native_tools import tool_problems
from databricks_responses_mcp.schemas.bounds import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_EXPANDED,
    MAX_LIST,
    MAX_REFERENCES,
    find_exceeded_limit,
)
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect


def doubling(levels: int) -> dict[str, Any]:
    """Return a schema of a few lines that expands to 2 to the power of ``levels`` parts."""
    definitions: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}, {"$ref": f"#/$defs/d{level + 1}"}]}
        for level in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": {"type": "string"}}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def chain(length: int) -> dict[str, Any]:
    definitions = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": {}}}


TREE = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}
GOOD: dict[str, Any] = {
    "a tree": TREE,
    "a tree by an anchor": {"$ref": "#t", "$defs": {"t": {"$anchor": "t", "items": {"$ref": "#t"}}}},
    "a reference used often": {
        "properties": {f"p{number}": {"$ref": "#/$defs/a~1b"} for number in range(100)},
        "$defs": {"a/b": {"type": "string"}},
    },
    "doubling a little": doubling(5),
    "as deep as may be": nested(MAX_DEPTH - 1),
    "a long enum": {"enum": list(range(MAX_LIST))},
    "a reference that leads nowhere": {"$ref": "#/$defs/missing/0"},
    "words that look like references": {"enum": [{"$ref": "#"}], "properties": {"$ref": {"type": "string"}}},
    "true": True,
    "an odd type": {"$ref": 5, "$defs": [], "allOf": {"a": 1}, "dependentSchemas": []},
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_usual_schema_is_within_the_limits(kind: str) -> None:
    assert find_exceeded_limit(GOOD[kind]) is None


CIRCLE = {
    "$ref": "#/$defs/a",
    "$defs": {"a": {"anyOf": [{}, {"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}},
}
BAD: dict[str, tuple[Any, str]] = {
    "doubling 26 times": (doubling(26), f"more than {MAX_EXPANDED} parts once its references are followed"),
    "too deep": (nested(MAX_DEPTH + 1), f"more than {MAX_DEPTH} levels"),
    "deeper than Python goes": (nested(100_000), f"more than {MAX_DEPTH} levels"),
    "too large": ({"description": "x" * MAX_BYTES}, f"may have {MAX_BYTES}"),
    "a list too long": ({"required": ["a"] * (MAX_LIST + 1)}, f"one may have {MAX_LIST}"),
    "too many references": ({"allOf": [{"$ref": "#/$defs/a"}] * (MAX_REFERENCES + 1)}, "references"),
    "itself": ({"$ref": "#"}, "without end"),
    "a circle": (CIRCLE, "without end"),
    "a circle of anchors": ({"$dynamicAnchor": "a", "if": {"$dynamicRef": "#a"}}, "without end"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_schema_beyond_a_limit_is_refused_with_the_name_of_the_limit(kind: str) -> None:
    schema, problem = BAD[kind]
    assert problem in (find_exceeded_limit(schema) or "")


def test_a_long_chain_of_references_is_followed_or_refused_but_ends() -> None:
    assert find_exceeded_limit(chain(MAX_REFERENCES - 1)) in (None, "has too long a chain of references")


@pytest.mark.parametrize("kind", ["doubling 26 times", "too deep", "too large", "a list too long", "itself"])
@pytest.mark.parametrize("tool_type", ["function", "other_type"])
def test_the_schemas_of_tools_have_the_same_limits(kind: str, tool_type: str) -> None:
    schema, problem = BAD[kind]
    (told,) = tool_problems([{"type": tool_type, "name": "f", "parameters": schema}])
    assert told.startswith("tools[0]")
    assert problem in told


@pytest.mark.anyio
@pytest.mark.parametrize("argument", ["tools", "extra"])
@pytest.mark.parametrize("schema", [doubling(26), nested(MAX_DEPTH + 1)], ids=["doubling", "deep"])
async def test_a_tool_whose_schema_is_too_large_is_refused_before_a_request(
    connect: Connect, emulator: RunningEmulator, argument: str, schema: dict[str, Any]
) -> None:
    tools = [{"type": "function", "name": "f", "parameters": schema}]
    arguments = {"tools": tools} if argument == "tools" else {"extra": {"tools": tools}}
    async with connect() as host:
        _, facts, failed = await host.call("ask_databricks_model", prompt="Hello", **arguments)
    assert (failed, facts["error"]["code"]) == (True, "invalid_argument")
    assert f"{'extra.' if argument == 'extra' else ''}tools[0]: it " in facts["error"]["message"]
    assert not list(emulator.state.request_log.to("/responses"))
