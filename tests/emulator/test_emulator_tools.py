"""Tools in play: which are called, with what, and what becomes of their outputs."""

import json
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
from oracle import openai_spec

pytestmark = pytest.mark.anyio

USER = {"type": "message", "role": "user", "content": "How warm is it in San Francisco?"}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME = {"type": "function", "name": "get_time", "description": None, "parameters": None, "strict": False}
DOCS = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp"}


def kinds(response: dict[str, Any]) -> list[str]:
    """Type of each output item, with the name of what it calls."""
    return [" ".join(filter(None, (item["type"], item.get("name")))) for item in response["output"]]


def said(response: dict[str, Any]) -> str:
    """The text of the last message."""
    text: str = response["output"][-1]["content"][0]["text"]
    return text


async def test_a_function_is_called_with_arguments_from_the_prompt_and_its_output_reaches_the_answer(post: Any) -> None:
    first = (await post(input=[USER], tools=[WEATHER])).json()
    call = first["output"][0]
    assert json.loads(call["arguments"]) == {"city": "San Francisco"}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "17 degrees"}
    second = (await post(input=[USER, {**call, "id": None}, output], tools=[WEATHER])).json()
    assert said(second) == snapshot("""\
No model was asked: this is the embedded workspace's rule engine.
You sent 32 characters in 7 words, beginning: “How warm is it in San Francisco?”
[tool] get_weather gave: 17 degrees\
""")


async def test_the_next_question_is_a_new_reason_to_call(post: Any) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "17"}
    answer = {"type": "message", "role": "assistant", "content": "17 degrees."}
    response = await post(input=[USER, call, output, answer, USER], tools=[WEATHER])
    assert kinds(response.json()) == ["function_call get_weather"]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, ["function_call get_weather", "function_call get_time", "custom_tool_call notes"]),
        ({"parallel_tool_calls": False}, ["function_call get_weather"]),
        ({"tool_choice": "none"}, ["message"]),
        ({"tool_choice": "required"}, ["function_call get_weather"]),
        ({"tool_choice": {"type": "function", "name": "get_time"}}, ["function_call get_time"]),
        ({"tool_choice": {"type": "custom", "name": "notes"}}, ["custom_tool_call notes"]),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "notes"}]}},
            ["custom_tool_call notes"],
        ),
        ({"input": "Use get_time please"}, ["function_call get_time"]),
        ({"input": "[[no tools]]"}, ["message"]),
    ],
    ids=str,
)
async def test_tool_choice_decides_who_is_called(post: Any, extra: dict[str, Any], expected: list[str]) -> None:
    tools = [WEATHER, TIME, {"type": "custom", "name": "notes"}]
    response = (await post(**{"tools": tools, **extra})).json()
    openai_spec.validate_response(response)
    assert kinds(response) == expected


async def test_hosted_tools_are_used_before_the_answer_and_no_more_than_max_tool_calls(post: Any) -> None:
    tools = [{"type": "web_search"}, {"type": "image_generation", "size": "16x16"}]
    both = (await post(tools=tools)).json()
    one = (await post(tools=tools, max_tool_calls=1)).json()
    assert (kinds(both), kinds(one)) == snapshot(
        (["web_search_call", "image_generation_call", "message"], ["web_search_call", "message"])
    )


async def test_a_web_search_is_cited_where_the_text_names_its_sources(post: Any) -> None:
    response = (await post(input="What is new?", tools=[{"type": "web_search"}])).json()
    content = response["output"][1]["content"][0]
    cited = [content["text"][one["start_index"] : one["end_index"]] for one in content["annotations"]]
    assert response["output"][0]["action"] == snapshot(
        {"type": "search", "query": "What is new?", "queries": ["What is new?"]}
    )
    assert cited == snapshot(
        ["([Result 1](https://example.com/1?q=What+is+new%3F))", "([Result 2](https://example.org/2?q=What+is+new%3F))"]
    )


async def test_a_patch_fits_the_file_that_the_prompt_shows(post: Any) -> None:
    prompt = "Add input validation.\n\nmain.py\n```python\ndef f(n):\n    return n\n```\n"
    response = (await post(input=prompt, tools=[{"type": "apply_patch"}])).json()
    assert response["output"][0]["operation"] == snapshot(
        {
            "type": "update_file",
            "path": "main.py",
            "diff": """\
@@
 def f(n):
+# Changed by the embedded workspace, no model asked
""",
        }
    )
    unknown = (await post(input="Write a poem", tools=[{"type": "apply_patch"}])).json()
    assert unknown["output"][0]["operation"] == snapshot(
        {
            "type": "create_file",
            "path": "notes.md",
            "diff": """\
+<!-- Changed by the embedded workspace, no model asked -->
+
""",
        }
    )


async def test_a_patch_that_is_asked_not_to_fit_is_corrected_once_it_was_answered_as_failed(post: Any) -> None:
    tools = [{"type": "apply_patch"}]
    asked = {"role": "user", "content": "[[misfit 2]] main.py\n```python\nprint(1)\n```"}
    said: list[Any] = [asked]
    diffs = []
    for status in ("failed", "failed", "completed"):
        (call,) = (await post(input=said, tools=tools)).json()["output"]
        diffs.append(call["operation"]["diff"])
        output = {"type": "apply_patch_call_output", "call_id": call["call_id"], "status": status, "output": "…"}
        said += [{**call, "id": None}, output]
    assert [" print(1)" in diff for diff in diffs] == [False, False, True]
    assert kinds((await post(input=said, tools=tools)).json()) == ["message"]


async def test_outputs_of_patch_and_shell_end_in_an_answer(post: Any) -> None:
    tools = [{"type": "apply_patch"}, {"type": "shell"}]
    first = (await post(input=[USER], tools=tools)).json()
    patch, shell = ({**item, "id": None} for item in first["output"])
    outputs = [
        {"type": "apply_patch_call_output", "call_id": patch["call_id"], "status": "failed", "output": "No such file"},
        {
            "type": "shell_call_output",
            "call_id": shell["call_id"],
            "max_output_length": shell["action"]["max_output_length"],
            "output": [{"stdout": "/tmp\n", "stderr": "", "outcome": {"type": "timeout"}}],
        },
    ]
    assert said((await post(input=[USER, patch, shell, *outputs], tools=tools)).json()) == snapshot("""\
No model was asked: this is the embedded workspace's rule engine.
You sent 32 characters in 7 words, beginning: “How warm is it in San Francisco?”
[tool] apply_patch_call gave: No such file
[tool] shell_call gave: /tmp\
""")


@pytest.mark.parametrize("approve", [True, False])
async def test_an_mcp_tool_waits_for_approval_and_then_runs_or_does_not(post: Any, approve: bool) -> None:
    first = (await post(input=[USER], tools=[DOCS])).json()
    assert kinds(first) == ["mcp_list_tools", "mcp_approval_request search"]
    listed, asked = first["output"]
    assert len(asked["id"]) <= 64
    decision = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": approve}
    second = (await post(input=[USER, {**listed, "id": None}, asked, decision], tools=[DOCS])).json()
    openai_spec.validate_response(second)
    assert kinds(second) == (["mcp_call search", "message"] if approve else ["message"])
    assert second["output"][0].get("approval_request_id") == (asked["id"] if approve else None)


@pytest.mark.parametrize(
    ("rule", "asks"),
    [
        ("never", False),
        ("always", True),
        ({"never": {"tool_names": ["look_up"]}}, False),
        ({"never": {"tool_names": ["other"]}}, True),
        ({"always": {"tool_names": ["other"]}}, False),
    ],
    ids=str,
)
async def test_require_approval_is_read_tool_by_tool(post: Any, rule: Any, asks: bool) -> None:
    tool = {**DOCS, "require_approval": rule, "allowed_tools": {"tool_names": ["look_up"]}}
    kind = kinds((await post(tools=[tool])).json())[1]
    assert kind == ("mcp_approval_request look_up" if asks else "mcp_call look_up")


async def test_secrets_of_an_mcp_tool_are_neither_answered_nor_journalled_as_headers(
    post: Any, emulator: RunningEmulator
) -> None:
    tool = {**DOCS, "authorization": "s3cret", "headers": {"x-key": "s3cret"}}
    response = await post(tools=[tool])
    assert "s3cret" not in response.text
    (exchange,) = emulator.state.request_log.to("/responses")
    assert exchange.body["tools"] == [tool]
    assert emulator.token not in str(exchange.headers)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "grammar", "syntax": "regex", "definition": r"^(\d{4})-[A-F]{2}$"}, "1111-AA"),
        (
            {
                "type": "grammar",
                "syntax": "lark",
                "definition": 'start: greeting " " NAME "!"?\ngreeting: "hello" | "bye"\nNAME: /[A-Z][a-z]+/',
            },
            "hello Aa",
        ),
    ],
    ids=["regex", "lark"],
)
async def test_a_custom_tool_with_a_grammar_gets_text_of_that_grammar(post: Any, form: Any, expected: str) -> None:
    response = (await post(tools=[{"type": "custom", "name": "pick", "format": form}])).json()
    assert response["output"][0]["input"] == expected


async def test_a_call_that_the_budget_cuts_is_incomplete(post: Any) -> None:
    long = {"type": "function", "name": "f", "parameters": {"properties": {f"p{n}": {} for n in range(30)}}}
    response = (await post(tools=[long], max_output_tokens=16)).json()
    openai_spec.validate_response(response)
    item = response["output"][0]
    assert (response["status"], response["incomplete_details"], item["status"], len(response["output"])) == (
        "incomplete",
        {"reason": "max_output_tokens"},
        "incomplete",
        1,
    )
