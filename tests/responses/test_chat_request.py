"""Responses requests as chat completions requests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.chat_events import ChatEvents
from databricks_responses_mcp.responses.chat_request import to_chat
from databricks_responses_mcp.responses.replay import replayable
from databricks_responses_mcp.responses.unsupported import UntranslatableError
from harness.translated import assembled, check_chat_request, translated

CLAUDE = "databricks-claude-sonnet-4-5"
PNG = "data:image/png;base64,iVBORw0KGgo="


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content, **more}


def call(call_id: str, arguments: str = "{}", name: str = "look_up") -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, said: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": said}


def chat(*items: dict[str, Any], model: str = CLAUDE, **parameters: Any) -> dict[str, Any]:
    body, _ = to_chat({"model": model, "input": list(items), "stream": True, **parameters})
    check_chat_request(body)
    return body


def messages(*items: dict[str, Any], **parameters: Any) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = chat(*items, **parameters)["messages"]
    return said


LOOK_UP = {
    "type": "function",
    "name": "look_up",
    "description": "Looks a word up.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    "strict": True,
}


def chat_call(call_id: str, arguments: str = "{}", name: str = "look_up") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_request_of_the_bridge_becomes_a_chat_request() -> None:
    body, notes = to_chat(
        {
            "model": CLAUDE,
            "input": [user("What is a kea?")],
            "stream": True,
            "instructions": "Be brief.",
            "tools": [LOOK_UP, {"type": "function", "name": "now"}],
            "tool_choice": {"type": "function", "name": "look_up"},
            "text": {
                "verbosity": "low",
                "format": {"type": "json_schema", "name": "bird", "schema": {"type": "object"}, "strict": True},
            },
            "reasoning": {"effort": "high", "summary": "auto"},
            "max_output_tokens": 900,
            "temperature": 0.5,
            "top_p": 0.9,
            "include": ["reasoning.encrypted_content"],
            "metadata": {"team": "birds"},
            "prompt_cache_key": "k",
            "parallel_tool_calls": False,
            "store": False,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        }
    )
    check_chat_request(body)
    assert body == {
        "temperature": 0.5,
        "top_p": 0.9,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "model": CLAUDE,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a kea?"}],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look_up",
                    "description": "Looks a word up.",
                    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
                },
            },
            {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "bird", "schema": {"type": "object"}, "strict": True},
        },
        "max_tokens": 900,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    left_out = "metadata, prompt_cache_key, parallel_tool_calls, text.verbosity, reasoning.effort, reasoning.summary"
    assert notes == [f"Left out of the request, because Chat Completions does not support it: {left_out}."]


def test_a_whole_conversation_keeps_what_was_said_and_called() -> None:
    assert messages(
        {"type": "message", "role": "developer", "content": "Speak English."},
        user("Look up kea and tui."),
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        assistant("I will look.", phase="commentary"),
        call("call_1", '{"word":"kea"}'),
        call("call_2", '{"word":"tui"}'),
        output("call_1", "a parrot"),
        output("call_2", [{"type": "input_text", "text": "a honeyeater"}]),
        call("call_3", '{"word":"moa"}'),
        output("call_3", ""),
        assistant("A parrot, "),
        assistant("a honeyeater."),
        user("Thanks."),
        instructions="Be brief.",
        tools=[LOOK_UP],
    ) == [
        {"role": "system", "content": "Be brief.\n\nSpeak English."},
        {"role": "user", "content": "Look up kea and tui."},
        {
            "role": "assistant",
            "content": "I will look.",
            "tool_calls": [chat_call("call_1", '{"word":"kea"}'), chat_call("call_2", '{"word":"tui"}')],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "a parrot"},
        {"role": "tool", "tool_call_id": "call_2", "content": "a honeyeater"},
        {"role": "assistant", "content": " ", "tool_calls": [chat_call("call_3", '{"word":"moa"}')]},
        {"role": "tool", "tool_call_id": "call_3", "content": "(no output)"},
        {"role": "assistant", "content": "A parrot, \n\na honeyeater."},
        {"role": "user", "content": "Thanks."},
    ]


def test_outputs_come_right_after_their_calls_in_the_order_of_the_calls() -> None:
    assert messages(
        user("Go."), call("a"), call("b"), user("And quickly."), output("b", "B"), output("a", "A"), tools=[LOOK_UP]
    ) == [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": " ", "tool_calls": [chat_call("a"), chat_call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "A"},
        {"role": "tool", "tool_call_id": "b", "content": "B"},
        {"role": "user", "content": "And quickly."},
    ]


def test_calls_without_output_and_outputs_without_call_are_told_rather_than_refused() -> None:
    assert messages(user("Go."), call("a"), user("Never mind."), output("z", {"n": 1}), tools=[LOOK_UP]) == [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": " ", "tool_calls": [chat_call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "(this call was not answered)"},
        {"role": "user", "content": "Never mind."},
        {"role": "user", "content": 'Output of the call z:\n\n{"n": 1}'},
    ]


def test_only_claude_gets_a_blank_where_a_message_has_calls_alone() -> None:
    said = messages(user("Go."), call("a"), output("a", "A"), model="databricks-llama-4-maverick", tools=[LOOK_UP])
    assert said[1] == {"role": "assistant", "tool_calls": [chat_call("a")]}


def test_pictures_and_files_are_shown_and_those_of_tools_follow_their_output() -> None:
    image = {"type": "input_image", "image_url": PNG, "detail": "auto"}
    document = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    shown = {"type": "image_url", "image_url": {"url": PNG}}
    assert messages(
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "See."}, {**image, "detail": "original"}, document],
        },
        call("a"),
        call("b"),
        output("a", [image]),
        output("b", "B"),
        tools=[LOOK_UP],
    ) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See."},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
                },
            ],
        },
        {"role": "assistant", "content": " ", "tool_calls": [chat_call("a"), chat_call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "(shown below)"},
        {"role": "tool", "tool_call_id": "b", "content": "B"},
        {"role": "user", "content": [{"type": "text", "text": "What the call a of look_up gave:"}, shown]},
    ]


def test_what_another_model_did_with_tools_of_its_own_is_told_as_calls() -> None:
    body, notes = to_chat(
        {
            "model": CLAUDE,
            "input": [
                user("Go."),
                {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
                {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "select 1"},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
                {
                    "type": "apply_patch_call",
                    "call_id": "c2",
                    "status": "completed",
                    "operation": {"type": "delete_file", "path": "a.txt"},
                },
                {"type": "apply_patch_call_output", "call_id": "c2", "status": "failed", "output": "no such file"},
                {"type": "shell_call", "call_id": "c3", "action": {"commands": ["ls"]}},
                {
                    "type": "shell_call_output",
                    "call_id": "c3",
                    "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
                },
                {
                    "type": "mcp_call",
                    "id": "m1",
                    "server_label": "x",
                    "name": "ask",
                    "arguments": "{}",
                    "output": "yes",
                },
                {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"},
                user("And now?"),
            ],
        }
    )
    check_chat_request(body)
    past = {"description": "Used earlier in this conversation, not available now."}
    names = ["sql", "apply_patch", "shell", "ask"]
    assert body == {
        "model": CLAUDE,
        "messages": [
            {"role": "user", "content": "Go."},
            {"role": "assistant", "content": " ", "tool_calls": [chat_call("c1", '{"input": "select 1"}', "sql")]},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {
                "role": "assistant",
                "content": " ",
                "tool_calls": [chat_call("c2", '{"type": "delete_file", "path": "a.txt"}', "apply_patch")],
            },
            {"role": "tool", "tool_call_id": "c2", "content": "failed: no such file"},
            {"role": "assistant", "content": " ", "tool_calls": [chat_call("c3", '{"commands": ["ls"]}', "shell")]},
            {
                "role": "tool",
                "tool_call_id": "c3",
                "content": '[{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]',
            },
            {"role": "assistant", "content": " ", "tool_calls": [chat_call("m1", "{}", "ask")]},
            {"role": "tool", "tool_call_id": "m1", "content": "yes"},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": name, **past, "parameters": {"type": "object", "properties": {}}},
            }
            for name in names
        ],
        "tool_choice": "none",
    }
    assert notes == ["The model did not receive the images generated earlier in this conversation."]


def test_the_models_own_words_at_the_end_are_left_out_and_told() -> None:
    body, notes = to_chat({"model": CLAUDE, "input": [user("Hi."), assistant("Hello")]})
    assert (body, notes) == (
        {"model": CLAUDE, "messages": [{"role": "user", "content": "Hi."}]},
        ["The conversation ended with the model's own words; they were left out of the request."],
    )


def test_messages_that_say_nothing_are_not_sent_and_refusals_are() -> None:
    refusal = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]}
    assert messages(user("Hi."), assistant(""), refusal, user(""), user("Why?")) == [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "I will not."},
        {"role": "user", "content": "Why?"},
    ]


@pytest.mark.parametrize(
    ("model", "strict"),
    [("databricks-gpt-5-1", True), ("databricks-gpt-oss-120b", False), (CLAUDE, False), ("team-bot", False)],
)
def test_strict_goes_to_openais_models_alone(model: str, strict: bool) -> None:
    function = chat(user("Hi."), model=model, tools=[LOOK_UP])["tools"][0]["function"]
    assert function.get("strict", False) is strict


def test_strict_can_be_decided_by_the_caller() -> None:
    body, _ = to_chat({"model": "team-bot", "input": "Hi.", "tools": [LOOK_UP]}, strict_tools=True)
    assert body["tools"][0]["function"]["strict"] is True


def test_of_allowed_tools_the_chat_api_is_told_of_those_alone() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look_up"}]}
    body = chat(user("Hi."), tools=[{"type": "function", "name": "now"}, LOOK_UP], tool_choice=choice)
    assert ([tool["function"]["name"] for tool in body["tools"]], body["tool_choice"]) == (["look_up"], "required")


@pytest.mark.parametrize(
    ("parameters", "feature"),
    [
        ({"tools": [{"type": "custom", "name": "sql"}]}, "custom tools"),
        ({"tools": [{"type": "web_search"}]}, "web search"),
        ({"tools": [{"type": "image_generation"}]}, "image generation"),
        ({"tools": [{"type": "apply_patch"}]}, "apply_patch"),
        ({"tools": [{"type": "shell"}]}, "shell"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x"}]}, "mcp"),
        ({"tools": [{"type": "hologram"}]}, "hologram tools"),
        ({"tools": [LOOK_UP], "tool_choice": {"type": "web_search"}}, "web search"),
        ({"text": {"format": {"type": "grammar"}}}, "structured output"),
        ({"background": True}, "background"),
        ({"store": True}, "stored responses"),
        ({"previous_response_id": "resp_1"}, "stored responses"),
        ({"conversation": "conv_1"}, "stored responses"),
        ({"prompt": {"id": "p"}}, "stored prompts"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "images"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x"}]}]}, "files"),
        ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "hologram content"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "compacted conversations"),
        ({"input": [{"type": "mcp_approval_response", "approve": True}]}, "mcp"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "stored responses"),
        ({"input": [{"type": "local_shell_call", "id": "ls_1"}]}, "shell"),
    ],
)
def test_what_the_chat_api_lacks_is_named(parameters: dict[str, Any], feature: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        to_chat({"model": CLAUDE, "input": "Hi.", **parameters})
    assert caught.value.feature == feature


def test_parameters_at_their_defaults_are_left_out_without_a_word() -> None:
    neutral = {
        "service_tier": "auto",
        "parallel_tool_calls": True,
        "truncation": "disabled",
        "background": False,
        "text": {"format": {"type": "text"}},
        "tool_choice": "required",
        "instructions": None,
    }
    assert to_chat({"model": "m", "input": "Hi.", **neutral}) == (
        {"model": "m", "messages": [{"role": "user", "content": "Hi."}]},
        [],
    )


def test_what_a_call_was_signed_with_goes_back_with_it() -> None:
    signed = {
        **chat_call("call_1"),
        "index": 0,
        "extra_content": {"google": {"thought_signature": "c2ln"}},
    }
    signed["function"]["thought_signature"] = "c2ln"
    completion = {
        "choices": [{"message": {"role": "assistant", "tool_calls": [signed]}, "finish_reason": "tool_calls"}]
    }
    _, items, _ = assembled(translated(ChatEvents("gemini", nonce="n"), [completion]))
    said = messages(user("Go."), *replayable(items), output("call_1", "A"), tools=[LOOK_UP])
    assert said[1]["tool_calls"] == [{key: value for key, value in signed.items() if key != "index"}]


def test_what_claude_thought_before_a_call_goes_back_signed_and_else_not_at_all() -> None:
    thought = [
        {
            "type": "reasoning",
            "summary": [
                {"type": "summary_text", "text": "I should look.", "signature": "c2ln"},
                {"type": "summary_encrypted_text", "data": "cmVk"},
            ],
        }
    ]
    text = {"type": "text", "text": "Let me look."}
    message = {"role": "assistant", "content": [*thought, text], "tool_calls": [chat_call("call_1")]}
    completion = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    _, items, _ = assembled(translated(ChatEvents(CLAUDE), [completion]))
    # Databricks' own shape, which OpenAI's types do not know.
    again = [user("Go."), *replayable(items), output("call_1", "A")]
    body, _ = to_chat({"model": CLAUDE, "input": again, "tools": [LOOK_UP]})
    assert body["messages"][1] == message
    assert messages(user("Go."), *replayable(items)[:2], user("Well?"))[1] == {
        "role": "assistant",
        "content": "Let me look.",
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "role", "content", "call_id", "name", "arguments", "output", "text", "summary"]
                )
                | st.text(max_size=3),
                inner
                | st.sampled_from(["message", "function_call", "function_call_output", "input_text", "assistant"]),
                max_size=5,
            )
        ),
        max_leaves=15,
    )
)
def test_whatever_the_input_holds_it_is_translated_or_refused(value: Any) -> None:
    try:
        body, _ = to_chat({"model": CLAUDE, "input": value, "text": value, "reasoning": value, "tool_choice": value})
    except UntranslatableError:
        return
    assert all(message.get("content") or message.get("tool_calls") for message in body["messages"])


def test_how_hard_to_think_is_told_to_all_but_claude() -> None:
    body = {"model": "my-gemini", "input": [user("Hi")], "reasoning": {"effort": "low"}}
    assert to_chat(body)[0]["reasoning_effort"] == "low"
    assert "reasoning_effort" not in to_chat({**body, "model": "my-claude"})[0]
