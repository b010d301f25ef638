"""Responses requests as Open Responses takes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.open_request import to_open
from databricks_responses_mcp.responses.unsupported import UntranslatableError
from oracle.openai_spec import validate_request

GEMINI = "databricks-gemini-3-1-pro"
LOOK_UP = {"type": "function", "name": "look_up", "parameters": {"type": "object"}, "strict": True}


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_a_conversation_is_sent_back_in_the_shape_that_open_responses_takes() -> None:
    image = {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "auto"}
    refusal = {"type": "refusal", "refusal": "I will not."}
    text = {"type": "output_text", "text": "I look.", "annotations": [{"type": "url_citation"}], "logprobs": []}
    call = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"}
    signed = {"thoughtSignature": "c2ln", "extra_content": {"google": {"thought_signature": "c2ln"}}}
    body, notes = to_open(
        {
            "model": GEMINI,
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "See."}, image]},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "phase": "commentary",
                    "content": [text, {"type": "output_text", "text": ""}, refusal],
                },
                {**call, "id": "fc_1", "status": "completed", **signed},
                {"type": "function_call_output", "call_id": "call_1", "output": "a parrot"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ""}]},
                {"type": "custom_tool_call", "id": "ct_1", "call_id": "c1", "name": "sql", "input": "select 1"},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
                user("And now?"),
                {"type": "message", "role": "assistant", "content": "Now"},
            ],
            "stream": True,
            "instructions": "Be brief.",
            "tools": [LOOK_UP],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "max_output_tokens": 500,
            "reasoning": {"effort": "low"},
            "text": {"verbosity": "low"},
            "include": ["reasoning.encrypted_content"],
            "metadata": {"team": "birds"},
            "store": False,
            "top_k": 3,
        }
    )
    assert body == {
        "model": GEMINI,
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "See."}, image]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "input_text", "text": "I look."}, {"type": "input_text", "text": "I will not."}],
            },
            {**call, **signed},
            {"type": "function_call_output", "call_id": "call_1", "output": "a parrot"},
            {"type": "function_call", "call_id": "c1", "name": "sql", "arguments": '{"input": "select 1"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            user("And now?"),
        ],
        "stream": True,
        "instructions": "Be brief.",
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "max_output_tokens": 500,
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low"},
        "top_k": 3,
        "tools": [LOOK_UP],
    }
    assert notes == [
        "The conversation ended with the model's own words; they were left out of the request.",
        "Left out of the request, because Open Responses does not support it: metadata.",
    ]
    # OpenAI's document knows neither of what Gemini adds.
    ours = {key: value for key, value in body.items() if key != "top_k"}
    validate_request({**ours, "input": [item if "thoughtSignature" not in item else call for item in body["input"]]})


@pytest.mark.parametrize(
    ("parameters", "feature"),
    [
        ({"previous_response_id": "resp_1"}, "stored responses"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "compacted conversations"),
    ],
)
def test_what_open_responses_lacks_is_named(parameters: dict[str, Any], feature: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        to_open({"model": GEMINI, "input": "Hi.", **parameters})
    assert caught.value.feature == feature


def test_tools_and_tiers_that_some_models_refuse_are_sent() -> None:
    asked = {
        "tools": [LOOK_UP, {"type": "web_search"}, {"type": "custom", "name": "sql"}],
        "tool_choice": {"type": "mcp", "server_label": "x"},
        "service_tier": "priority",
    }
    body, notes = to_open({"model": GEMINI, "input": "Hi.", **asked})
    assert ({name: body[name] for name in asked}, notes) == (asked, [])
    assert "service_tier" not in to_open({"model": GEMINI, "input": "Hi.", "service_tier": "auto"})[0]


def test_a_text_alone_is_one_message() -> None:
    assert to_open({"model": GEMINI, "input": "Hi."}) == (
        {"model": GEMINI, "input": [{"type": "message", "role": "user", "content": "Hi."}]},
        [],
    )


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "text", "call_id", "output"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(st.fixed_dictionaries({"type": st.sampled_from(["message", "function_call"]), "content": VALUES})))
def test_whatever_the_input_holds_it_is_translated_or_refused(items: list[Any]) -> None:
    try:
        to_open({"model": GEMINI, "input": items, "tool_choice": items})
    except UntranslatableError:
        return
