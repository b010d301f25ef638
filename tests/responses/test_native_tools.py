"""Native tool definitions, checked before they are sent."""

from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.responses.native_tools import tool_choice, tool_problems

GOOD: list[dict[str, Any]] = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True},
    {"type": "custom", "name": "code_exec", "description": "Executes Python."},
    {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}},
    {"type": "apply_patch"},
    {"type": "shell", "environment": {"type": "local"}},
    {"type": "image_generation", "size": "auto", "partial_images": 2, "newer_field": 1},
    {"type": "mcp", "server_label": "genie", "server_url": "https://x", "require_approval": {"never": {}}},
    {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}, "user_location": {"city": "Bern"}},
    {"type": "file_search", "vector_store_ids": ["v"]},
]


def test_the_apis_own_definitions_pass_and_so_do_newer_fields_and_types() -> None:
    assert tool_problems(GOOD) == []


def test_each_problem_names_its_place() -> None:
    bad: list[Any] = [
        {"type": "function"},
        {"type": "function", "name": "with space"},
        {"type": "custom", "name": "a", "format": {"type": "grammar", "syntax": "ebnf"}},
        {"type": "custom", "name": "b", "format": {"type": "regex"}},
        {"type": "mcp", "server_label": "x"},
        {"type": "web_search", "filters": {"allowed_domains": "a.example"}},
        {"type": "image_generation", "partial_images": 4},
        {"name": "untyped"},
        "function",
        {"type": "function", "name": "twice"},
        {"type": "function", "name": "twice"},
    ]
    assert tool_problems(bad) == snapshot(
        [
            "tools[0].name: Field required",
            "tools[1].name: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
            "tools[2].format.grammar.syntax: Input should be 'lark' or 'regex'",
            "tools[2].format.grammar.definition: Field required",
            (
                "tools[3].format: Input tag 'regex' found using 'type' does not match any of the expected tags: "
                "'text', 'grammar'"
            ),
            "tools[4].server_url: an MCP server needs an address",
            "tools[5].filters.allowed_domains: Input should be a valid list",
            "tools[6].partial_images: Input should be less than or equal to 3",
            (
                "tools[7].type: a tool has a type; the API's are function, custom, apply_patch, shell, "
                "image_generation, mcp, web_search"
            ),
            "tools[8]: a tool is an object",
            "tools[10].name: 'twice' is there twice",
        ]
    )


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("get_weather", {"type": "function", "name": "get_weather"}),
        ("code_exec", {"type": "custom", "name": "code_exec"}),
        ("genie", {"type": "mcp", "server_label": "genie"}),
        ("apply_patch", {"type": "apply_patch"}),
        ("web_search", {"type": "web_search"}),
        ("function", None),
        ("absent", None),
    ],
)
def test_a_choice_is_a_mode_a_name_or_a_type(choice: str, sent: Any) -> None:
    assert tool_choice(choice, GOOD) == sent
