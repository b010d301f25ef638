"""Tools as models and other APIs write them."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.tool_shapes import domain_of, responses_choice, responses_tools

SCHEMA = {"type": "object", "properties": {"function": {"type": "string"}}}
FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA}
GRAMMAR = {"syntax": "lark", "definition": "start: /a/"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (FUNCTION, FUNCTION),
        ({"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}, FUNCTION),
        (
            {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}},
            {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
        ),
        ({"function": {"name": "f", "description": "d", "parameters": SCHEMA}}, FUNCTION),
        ({"name": "f", "description": "d", "parameters": SCHEMA}, FUNCTION),
        ({"name": "f", "title": "F", "description": "d", "inputSchema": SCHEMA, "annotations": {}}, FUNCTION),
        ({"name": "f", "description": "d", "input_schema": SCHEMA}, FUNCTION),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        (
            {"type": "custom", "custom": {"name": "c", "format": {"type": "grammar", "grammar": GRAMMAR}}},
            {"type": "custom", "name": "c", "format": {"type": "grammar", **GRAMMAR}},
        ),
        (
            {"type": "web_search", "filters": {"allowed_domains": ["https://A.com/x", "b.org"]}},
            {"type": "web_search", "filters": {"allowed_domains": ["a.com", "b.org"]}},
        ),
        ({"type": "apply_patch"}, {"type": "apply_patch"}),
        ({"type": "hologram", "function": {"name": "f"}}, {"type": "hologram", "function": {"name": "f"}}),
        ({"name": "f"}, {"name": "f"}),
        ({"type": ["function"], "filters": 3}, {"type": ["function"], "filters": 3}),
        ({"type": "web_search", "filters": {"allowed_domains": "a"}},) * 2,
        (7, 7),
    ],
)
def test_tools_in_other_shapes_become_those_of_the_responses_api(given: Any, sent: Any) -> None:
    assert responses_tools([given]) == [sent]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("required", "required"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "c"}}]},
            },
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "c"}]},
        ),
        ({"type": []}, {"type": []}),
    ],
)
def test_a_choice_in_the_chat_apis_shape_is_translated(given: Any, sent: Any) -> None:
    assert responses_choice(given) == sent


@pytest.mark.parametrize(
    ("site", "domain"),
    [
        ("docs.databricks.com", "docs.databricks.com"),
        ("https://Docs.Databricks.com/en/index.html?x=1#top", "docs.databricks.com"),
        ("//example.com", "example.com"),
        ("example.com/path", "example.com"),
        ("user@example.com:8080", "example.com"),
        ("*.example.com.", "example.com"),
        ("  example.com ", "example.com"),
        ("https://", "https://"),
    ],
)
def test_only_the_domain_of_an_address_is_sent(site: str, domain: str) -> None:
    assert domain_of(site) == domain
