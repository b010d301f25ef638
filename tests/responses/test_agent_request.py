"""Responses requests as agents take them, those of the responses kind and those of the chat kind."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.agent_request import to_agent, to_agent_chat
from databricks_responses_mcp.responses.unsupported import UntranslatableError

LOOK_UP = {"type": "function", "name": "look_up", "parameters": {"type": "object"}, "strict": True}
CITED = {"type": "url_citation", "url": "https://x.example"}

TALK: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look up kea."}]},
    {"type": "reasoning", "encrypted_content": "gAAAA", "summary": [{"type": "summary_text", "text": "Hm"}]},
    {"type": "reasoning", "id": "rs_2", "encrypted_content": 'chat-reasoning:[{"type":"reasoning"}]', "summary": []},
    {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "a parrot"},
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "A parrot.", "annotations": [CITED]}],
    },
    {"type": "mcp_approval_request", "id": "a1", "server_label": "x", "name": "ask", "arguments": "{}"},
    {"type": "mcp_approval_response", "approval_request_id": "a1", "approve": True},
    {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "select 1"},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
    {"role": "user", "content": "And?"},
]


def test_an_agent_is_told_the_conversation_item_by_item() -> None:
    body, notes = to_agent(
        {
            "model": "birds-agent",
            "input": TALK,
            "stream": True,
            "instructions": "Be brief.",
            "tools": [LOOK_UP, {"type": "genie_space", "id": "1"}],
            "temperature": 0.1,
            "max_output_tokens": 500,
            "metadata": {"team": "birds"},
            "include": ["web_search_call.results"],
            "prompt_cache_key": "k",
            "custom_inputs": {"depth": 2},
            "context": {"conversation_id": "c", "user_id": "u"},
            "databricks_options": {"return_trace": True},
        }
    )
    assert body == {
        "model": "birds-agent",
        "input": [
            {"type": "message", "role": "system", "content": "Be brief."},
            TALK[0],
            {**TALK[1], "id": "rs_1"},
            TALK[3],
            TALK[4],
            {
                "type": "message",
                "id": "msg_5",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "A parrot.", "annotations": []}],
            },
            TALK[6],
            TALK[7],
            {"type": "function_call", "call_id": "c1", "name": "sql", "arguments": '{"input": "select 1"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {"type": "message", "role": "user", "content": "And?"},
        ],
        "stream": True,
        "temperature": 0.1,
        "max_output_tokens": 500,
        "metadata": {"team": "birds"},
        "custom_inputs": {"depth": 2},
        "context": {"conversation_id": "c", "user_id": "u"},
        "databricks_options": {"return_trace": True},
        "tools": [LOOK_UP, {"type": "genie_space", "id": "1"}],
    }
    assert notes == ["Left out of the request, because an agent does not support it: include, prompt_cache_key."]


def test_a_text_alone_becomes_a_list() -> None:
    assert to_agent({"model": "a", "input": "Hi."})[0]["input"] == [
        {"type": "message", "role": "user", "content": "Hi."}
    ]


@pytest.mark.parametrize(
    ("parameters", "feature"),
    [
        ({"tools": [{"type": "custom", "name": "sql"}]}, "custom tools"),
        ({"tools": [{"type": "web_search"}]}, "web search"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "mcp"),
        ({"conversation": "conv_1"}, "stored responses"),
        ({"input": [{"type": "compaction"}]}, "compacted conversations"),
    ],
)
def test_what_agents_lack_is_named(parameters: dict[str, Any], feature: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        to_agent({"model": "a", "input": "Hi.", **parameters})
    assert caught.value.feature == feature


def test_an_agent_of_the_chat_kind_is_told_messages_and_nothing_of_models() -> None:
    talk = [item for item in TALK if not item.get("type", "").startswith("mcp_")]
    body, notes = to_agent_chat(
        {
            "model": "old-agent",
            "input": talk,
            "stream": True,
            "instructions": "Be brief.",
            "temperature": 0.1,
            "max_output_tokens": 500,
            "text": {"format": {"type": "text"}},
            "custom_inputs": {"depth": 2},
            "context": {"conversation_id": "c"},
        }
    )
    sql = {"id": "c1", "type": "function", "function": {"name": "sql", "arguments": '{"input": "select 1"}'}}
    look_up = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    assert body == {
        "model": "old-agent",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look up kea."},
            {"role": "assistant", "content": [{"type": "reasoning"}], "tool_calls": [look_up]},
            {"role": "tool", "tool_call_id": "call_1", "content": "a parrot"},
            {"role": "assistant", "content": "A parrot.", "tool_calls": [sql]},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {"role": "user", "content": "And?"},
        ],
        "custom_inputs": {"depth": 2},
        "context": {"conversation_id": "c"},
        "stream": True,
    }
    assert notes == [
        "Left out of the request, because an agent with Chat Completions does not support it: temperature, text."
    ]


@pytest.mark.parametrize(
    ("parameters", "feature"),
    [
        ({"tools": [LOOK_UP]}, "function tools"),
        ({"tools": [{"type": "web_search"}]}, "web search"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {}}}}, "structured output"),
    ],
)
def test_what_agents_of_the_chat_kind_lack_is_named(parameters: dict[str, Any], feature: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        to_agent_chat({"model": "a", "input": "Hi.", **parameters})
    assert caught.value.feature == feature
