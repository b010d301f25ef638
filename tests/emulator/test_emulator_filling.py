"""Values for schemas and texts for grammars: they fit, and none however odd takes the workspace down."""

import re
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databricks_workspace_emulator.grammar_filling import fill_lark, fill_regex
from databricks_workspace_emulator.schema_filling import fill

FITTING: dict[str, dict[str, Any]] = {
    "bounds": {"type": "integer", "minimum": 10, "maximum": 20, "multipleOf": 4},
    "exclusive bounds": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 3},
    "above one": {"type": "number", "exclusiveMinimum": 5.5},
    "lengths": {"type": "string", "minLength": 50, "maxLength": 60},
    "pattern": {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
    "format": {"type": "string", "format": "date-time"},
    "nullable": {"type": ["string", "null"]},
    "const": {"const": {"a": [1]}},
    "enum": {"enum": ["red", "green"]},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "maxItems": 2},
    "distinct": {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
    "any of": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["a"], "properties": {"a": {"const": 1}}}]},
    "all of": {
        "allOf": [
            {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
        ]
    },
    "references": {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/node"}},
        "required": ["child"],
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "next"],
                "additionalProperties": False,
            }
        },
    },
    "a tree": {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["children"],
    },
}

ENDLESS: list[dict[str, Any]] = [
    {"$ref": "#"},
    {"$ref": "#/nowhere"},
    {"allOf": [{"$ref": "#"}]},
    {"anyOf": [{"$ref": "#"}]},
    {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
    {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
    {"type": "string", "minLength": 10**12},
    {"type": "string", "pattern": "((a{999999}){999999}){999999}"},
    {"properties": {"a": True}, "required": ["a", "b"]},
]


@pytest.mark.parametrize("name", FITTING)
def test_a_value_fits_its_schema(name: str) -> None:
    jsonschema.validate(fill(FITTING[name], "A red fox in New York"), FITTING[name])


@pytest.mark.parametrize("schema", ENDLESS, ids=str)
def test_a_schema_that_nothing_fits_comes_to_an_end(schema: dict[str, Any]) -> None:
    assert len(repr(fill(schema))) < 1_000_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3),
    max_leaves=5,
)
SIMPLE = st.recursive(
    st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda kind: {"type": kind})
    | st.lists(JSON, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    lambda part: (
        part.map(lambda items: {"type": "array", "items": items})
        | st.dictionaries(st.text(min_size=1, max_size=8), part, max_size=4).map(
            lambda found: {
                "type": "object",
                "properties": found,
                "required": list(found),
                "additionalProperties": False,
            }
        )
        | st.lists(part, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    ),
    max_leaves=8,
)


@given(schema=SIMPLE, prompt=st.text(max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_value_fits_any_schema_of_the_strict_kind(schema: dict[str, Any], prompt: str) -> None:
    jsonschema.validate(fill(schema, prompt), schema)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "abc",
        "a|b",
        "[a-z]+@[a-z]+\\.com",
        "^\\d{3}-\\w+$",
        "(ab){2,3}c?",
        "[^a-y]",
        "(x)y\\1",
        "\\s*\\D",
        "(?:a|b)+",
        ".{3}",
    ],
)
def test_a_text_matches_its_pattern(pattern: str) -> None:
    assert re.search(pattern, fill_regex(pattern)) is not None


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        ('start: "a" | "b"', "a"),
        ('start: pair ("," pair)*\npair: KEY "=" VALUE\nKEY: /[a-z]+/\nVALUE: /\\d+/', "a=1"),
        ('start: start "x" | "y"', "y"),
        ('%import common.INT\nstart: "n" INT -> number\n  | "m"', "n1"),
        ('// a comment\nstart: greeting\n!greeting: "say \\"hi\\""', 'say "hi"'),
        ("", "a"),
    ],
)
def test_a_text_follows_its_grammar(grammar: str, text: str) -> None:
    assert fill_lark(grammar) == text


@pytest.mark.parametrize(
    "grammar", ["start: start start", "start: a\na: b b\nb: a a", "start: (((", "start: )(", ":::", "start: ["]
)
def test_a_grammar_without_an_end_or_without_sense_comes_to_an_end(grammar: str) -> None:
    assert len(fill_lark(grammar)) < 100_000
