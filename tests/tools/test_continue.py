"""Multi-step work: the model calls, the host carries out, the model goes on."""

import json
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
CONTINUE = "continue_databricks_model"

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
FACTORIAL = (
    "Add input validation to the factorial function in main.py.\n\nmain.py:\n```python\ndef f(n):\n    return n\n```"
)


GENIE = {"type": "mcp", "server_label": "genie", "server_url": "https://mcp.example.com", "require_approval": "always"}


async def begin(host: Host, prompt: str, *tools: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Ask with tools: the conversation and the calls that wait."""
    _, facts, failed = await host.call(ASK, prompt=prompt, tools=list(tools))
    assert not failed
    return facts["conversation_id"], facts["pending_calls"]


STEPS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("function", "What is the weather in Paris?", WEATHER, {"output": "22 degrees and sunny"}),
    (
        "custom",
        "Write a Python function to calculate factorial",
        {"type": "custom", "name": "code_exec"},
        {"output": "120"},
    ),
    ("apply_patch", FACTORIAL, {"type": "apply_patch"}, {"status": "completed"}),
    ("shell", "List the files here.", {"type": "shell"}, {"stdout": "main.py", "stderr": "", "exit_code": 0}),
]


@pytest.mark.parametrize(("name", "prompt", "tool", "output"), STEPS, ids=[step[0] for step in STEPS])
async def test_a_call_is_answered_and_the_model_uses_the_output(
    connect: Connect, era: str, name: str, prompt: str, tool: dict[str, Any], output: dict[str, Any]
) -> None:
    async with connect(era) as host:
        conversation, (pending, *_) = await begin(host, prompt, tool)
        assert pending["type"].startswith(name)
        _, facts, failed = await host.call(
            CONTINUE, conversation_id=conversation, outputs=[{"call_id": pending["call_id"], **output}]
        )
    assert not failed
    assert "pending_calls" not in facts
    said = output.get("output") or output.get("stdout") or "completed"
    assert said in facts["text"]


async def test_the_whole_conversation_goes_along_with_each_turn(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        conversation, (pending,) = await begin(host, "Weather in Paris?", WEATHER)
        await host.call(
            CONTINUE, conversation_id=conversation, outputs=[{"call_id": pending["call_id"], "output": "22 degrees"}]
        )
        await host.call(ASK, prompt="And in words?", conversation_id=conversation)
    first, second, third = (exchange.body for exchange in emulator.state.request_log.to("/responses"))
    assert second["input"][: len(first["input"])] == first["input"]
    assert third["input"][: len(second["input"])] == second["input"]
    assert [item["type"] for item in third["input"]] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
    ]
    assert first["tools"] == second["tools"] == third["tools"]
    assert third["input"][-1]["content"][0]["text"] == "And in words?"


async def test_an_mcp_approval_waits_for_the_host_and_is_answered_by_it(connect: Connect) -> None:
    async with connect(model_approvals="allow") as host:
        conversation, (pending,) = await begin(host, "Ask genie.", GENIE)
        assert pending["type"] == "mcp_approval_request"
        _, facts, failed = await host.call(
            CONTINUE,
            conversation_id=conversation,
            outputs=[{"approval_request_id": pending["approval_request_id"], "approve": True}],
        )
    assert not failed
    assert any(item["type"] == "mcp_call" for item in facts["output"])


async def test_wrong_outputs_are_refused_by_name_and_nothing_is_sent(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        conversation, (pending,) = await begin(host, "Weather in Paris?", WEATHER)
        content, facts, failed = await host.call(
            CONTINUE, conversation_id=conversation, outputs=[{"call_id": "call_foreign", "output": "x"}]
        )
        _, later, worked = await host.call(
            CONTINUE, conversation_id=conversation, outputs=[{"call_id": pending["call_id"], "output": "22"}]
        )
    assert failed
    assert facts["error"]["code"] == "invalid_argument"
    assert "no call 'call_foreign' is waiting" in content[0].text
    assert f"call {pending['call_id']!r}" in content[0].text
    assert len(emulator.state.request_log.to("/responses")) == 2
    assert not worked
    assert "22" in later["text"]


async def test_outputs_are_refused_when_no_call_waits_and_nothing_is_sent(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        conversation, (pending,) = await begin(host, "Weather in Paris?", WEATHER)
        outputs = [{"call_id": pending["call_id"], "output": "22"}]
        await host.call(CONTINUE, conversation_id=conversation, outputs=outputs)
        for again in (outputs, []):
            content, facts, failed = await host.call(CONTINUE, conversation_id=conversation, outputs=again)
            assert failed
            assert facts["error"]["code"] == "invalid_argument"
            assert f"No call waits in conversation {conversation!r}" in content[0].text
            assert "prompt" in facts["error"]["hint"]
    assert len(emulator.state.request_log.to("/responses")) == 2


async def test_a_turn_that_fails_leaves_the_conversation_as_it_was(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        conversation, (pending,) = await begin(host, "Weather in Paris?", WEATHER)
        outputs = [{"call_id": pending["call_id"], "output": "22 degrees"}]
        emulator.state.faults.add("cut:4")
        _, _, failed = await host.call(CONTINUE, conversation_id=conversation, outputs=outputs)
        _, facts, failed_again = await host.call(CONTINUE, conversation_id=conversation, outputs=outputs)
    assert (failed, failed_again) == (True, False)
    assert "22 degrees" in facts["text"]


async def test_a_conversation_that_waits_cannot_be_talked_past(connect: Connect) -> None:
    async with connect() as host:
        conversation, (pending,) = await begin(host, "Weather in Paris?", WEATHER)
        content, facts, _ = await host.call(ASK, prompt="Never mind.", conversation_id=conversation)
    assert facts["error"]["code"] == "invalid_argument"
    assert pending["call_id"] in content[0].text


@pytest.mark.parametrize("tool", [ASK, CONTINUE])
async def test_an_unknown_conversation_is_not_found(connect: Connect, tool: str) -> None:
    more = {"prompt": "Hi"} if tool == ASK else {"outputs": [{"call_id": "c", "output": "x"}]}
    async with connect() as host:
        _, facts, _ = await host.call(tool, conversation_id="conv_absent", **more)
    assert facts["error"]["code"] == "not_found"


async def test_two_turns_at_once_wait_for_each_other(connect: Connect) -> None:
    async with connect() as host:
        _, facts, _ = await host.call(ASK, prompt="[[say one]]")
        texts: list[str] = []

        async def go_on(words: str) -> None:
            _, more, _ = await host.call(ASK, prompt=f"[[say {words}]]", conversation_id=facts["conversation_id"])
            texts.append(more["text"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on, "two")
            tasks.start_soon(go_on, "three")
        _, whole, _ = await host.call(ASK, prompt="[[echo]]", conversation_id=facts["conversation_id"])
    assert sorted(texts) == ["three", "two"]
    assert all(word in whole["text"] for word in ("one", "two", "three"))


BAD_TOOLS: list[tuple[dict[str, Any], str, str]] = [
    ({"tools": [{"type": "function"}]}, "invalid_argument", "tools[0].name: Field required"),
    ({"tools": [WEATHER], "tool_choice": "absent"}, "invalid_argument", "'absent'"),
    ({"output_schema": {"type": "nonsense"}}, "invalid_argument", "output_schema is not a JSON Schema"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD_TOOLS)
async def test_wrong_tools_are_told_by_their_place_before_anything_is_sent(
    connect: Connect, emulator: RunningEmulator, arguments: dict[str, Any], code: str, words: str
) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(ASK, prompt="Hi", **arguments)
    assert failed
    assert facts["error"]["code"] == code
    assert words in content[0].text
    assert emulator.state.request_log.to("/responses") == []


async def test_a_tool_type_that_a_model_refuses_is_sent_and_the_refusal_explained(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    tool = {"type": "file_search", "vector_store_ids": ["vs_1"]}
    async with connect(era) as host:
        for model, path in (
            ("databricks-gpt-5", "/serving-endpoints/responses"),
            ("databricks-claude-sonnet-4-5", "/serving-endpoints/open-responses"),
        ):
            content, facts, failed = await host.call(ASK, prompt="Hi", model=model, tools=[tool])
            assert failed
            assert (facts["error"]["code"], facts["error"]["status"]) == ("unsupported_by_model", 400)
            assert "file_search" in content[0].text
            assert "function, custom" in facts["error"]["hint"]
            assert emulator.state.request_log.to(path)[-1].body["tools"] == [tool]


async def test_what_is_documented_as_refused_is_sent_where_a_setting_says_so(
    connect: Connect, emulator: RunningEmulator
) -> None:
    for checked, sent in ((True, 0), (False, 1)):
        async with connect(check_parameters=checked) as host:
            _, facts, failed = await host.call(ASK, prompt="Hi", extra={"store": True})
        assert (failed, facts["error"]["code"]) == (True, "unsupported_by_model")
        bodies = [exchange.body for exchange in emulator.state.request_log.to("/responses")]
        assert [body["store"] for body in bodies] == [True] * sent


async def test_an_unknown_tool_type_passes_to_an_external_model(connect: Connect, emulator: RunningEmulator) -> None:
    external = next(name for name in emulator.state.endpoints if "external" in name)
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    async with connect() as host:
        await host.call(ASK, prompt="[[no tools]] Hi", model=external, tools=[tool])
    assert emulator.state.request_log.to("/responses")[0].body["tools"] == [tool]


async def test_tool_parameters_reach_the_request(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        await host.call(
            ASK,
            prompt="Weather?",
            tools=[WEATHER],
            tool_choice="get_weather",
            parallel_tool_calls=False,
            max_tool_calls=3,
        )
    body = emulator.state.request_log.to("/responses")[0].body
    assert {key: body[key] for key in ("tools", "tool_choice", "parallel_tool_calls", "max_tool_calls")} == {
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "name": "get_weather"},
        "parallel_tool_calls": False,
        "max_tool_calls": 3,
    }


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer", "minimum": 1}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}


async def test_an_answer_that_fits_a_schema_is_a_value(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(ASK, prompt="Weather in Paris?", output_schema=SCHEMA)
    assert not failed
    assert facts["parsed"] == json.loads(facts["text"])
    assert content[0].text == facts["text"]
    assert emulator.state.request_log.to("/responses")[0].body["text"] == snapshot(
        {
            "format": {
                "type": "json_schema",
                "name": "answer",
                "schema": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer", "minimum": 1}},
                    "required": ["city", "degrees"],
                    "additionalProperties": False,
                },
                "strict": True,
            }
        }
    )


async def test_a_follow_up_that_fails_leaves_the_conversations_settings_as_they_were(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        _, facts, _ = await host.call(ASK, prompt="[[say one]]")
        conversation = facts["conversation_id"]
        _, _, failed = await host.call(ASK, prompt="Hi", model="databricks-typo", conversation_id=conversation)
        _, later, worked = await host.call(ASK, prompt="[[say two]]", conversation_id=conversation)
    assert (failed, worked) == (True, False)
    assert (later["endpoint"], later["text"]) == ("databricks-gpt-5", "two")


async def test_a_choice_of_tool_holds_for_the_turn_that_made_it(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        _, facts, _ = await host.call(ASK, prompt="Weather?", tools=[WEATHER], tool_choice="required")
        outputs = [{"call_id": facts["pending_calls"][0]["call_id"], "output": "22"}]
        _, answered, _ = await host.call(CONTINUE, conversation_id=facts["conversation_id"], outputs=outputs)
    assert "pending_calls" not in answered
    first, second = emulator.state.request_log.to("/responses")
    assert (first.body["tool_choice"], second.body.get("tool_choice")) == ("required", None)


async def test_a_result_with_pending_calls_says_how_to_give_one_up_and_that_works(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        content, facts, _ = await host.call("ask_databricks_model", prompt="Weather in Paris?", tools=[WEATHER])
        conversation, (pending,) = facts["conversation_id"], facts["pending_calls"]
        in_words, _, _ = await host.call("ask_databricks_model", prompt="Never mind.", conversation_id=conversation)
        output = {"call_id": pending["call_id"], "output": "not carried out"}
        _, later, failed = await host.call(CONTINUE, conversation_id=conversation, outputs=[output])
    assert 'an output that says so, such as "not carried out"' in content[0].text
    assert "To skip a call, return an output that says so" in in_words[0].text
    assert not failed
    assert "pending_calls" not in later
