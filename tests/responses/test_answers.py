"""Outputs that answer a model's calls."""

from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.responses.answers import answer_items, answer_problems
from databricks_responses_mcp.responses.output import pending_calls_of

OUTPUT = [
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "code", "input": "print(1)"},
    {"type": "apply_patch_call", "call_id": "c3", "operation": {"type": "delete_file", "path": "a"}},
    {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"], "max_output_length": 500}},
    {"type": "mcp_approval_request", "id": "ap", "server_label": "s", "name": "n", "arguments": "{}"},
]
PENDING = pending_calls_of(OUTPUT)


def test_the_shape_that_each_call_expects_is_shown() -> None:
    assert [call["answer_with"] for call in PENDING] == snapshot(
        [
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": "<text, or a list of input_text and input_image>",
            },
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": "<text, or a list of input_text and input_image>",
            },
            {
                "type": "apply_patch_call_output",
                "call_id": "c3",
                "status": "<completed or failed>",
                "output": "<what happened>",
            },
            {
                "type": "shell_call_output",
                "call_id": "c4",
                "output": [
                    {"stdout": "<text>", "stderr": "<text>", "outcome": {"type": "exit", "exit_code": "<number>"}}
                ],
                "max_output_length": 500,
            },
            {
                "type": "mcp_approval_response",
                "approval_request_id": "ap",
                "approve": "<true or false, as the user decides>",
            },
        ]
    )


def test_short_answers_become_the_apis_items_in_the_order_of_the_calls() -> None:
    outputs: list[dict[str, Any]] = [
        {"approval_request_id": "ap", "approve": False, "reason": "Too risky"},
        {"call_id": "c4", "stdout": "a.py", "exit_code": 0},
        {"call_id": "c3", "status": "failed", "output": "No such file"},
        {"call_id": "c2", "output": {"printed": 1}},
        {"call_id": "c1", "output": [{"type": "input_text", "text": "22 °C"}]},
    ]
    assert answer_problems(PENDING, outputs) == []
    assert answer_items(PENDING, outputs) == snapshot(
        [
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "22 °C"}]},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": '{"printed": 1}'},
            {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed", "output": "No such file"},
            {
                "type": "shell_call_output",
                "call_id": "c4",
                "output": [{"stdout": "a.py", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
                "max_output_length": 500,
            },
            {"type": "mcp_approval_response", "approval_request_id": "ap", "approve": False, "reason": "Too risky"},
        ]
    )


def test_the_apis_own_items_pass_as_they_are() -> None:
    outputs: list[dict[str, Any]] = [
        {"type": "function_call_output", "call_id": "c1", "output": "22"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "1"},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "completed"},
        {
            "type": "shell_call_output",
            "call_id": "c4",
            "output": [
                {"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 1}},
                {"stdout": "", "stderr": "slow", "outcome": {"type": "timeout"}},
            ],
            "max_output_length": 500,
        },
        {"type": "mcp_approval_response", "approval_request_id": "ap", "approve": True},
    ]
    assert answer_problems(PENDING, outputs) == []
    assert answer_items(PENDING, outputs) == outputs


def test_a_command_that_timed_out_can_be_said_in_short() -> None:
    (shell,) = (call for call in PENDING if call["type"] == "shell_call")
    assert answer_items([shell], [{"call_id": "c4", "stderr": "…", "timeout": True}])[0]["output"] == [
        {"stdout": "", "stderr": "…", "outcome": {"type": "timeout"}}
    ]


@pytest.mark.parametrize("outputs", [[], ["text"], [{}]])
def test_outputs_that_are_none_are_told_with_every_call_that_waits(outputs: list[Any]) -> None:
    problems = answer_problems(PENDING, outputs)
    for name in ("c1", "c2", "c3", "c4", "ap"):
        assert any(f"call {name!r}" in problem and "has no output" in problem for problem in problems)


def test_every_mistake_is_named_by_its_call() -> None:
    outputs: list[dict[str, Any]] = [
        {"call_id": "c1"},
        {"call_id": "c1", "output": "again"},
        {"call_id": "c9", "output": "whose?"},
        {"call_id": "c2", "type": "function_call_output", "output": "x"},
        {"call_id": "c3", "status": "done"},
        {"call_id": "c4", "output": [{"stdout": "a"}]},
        {"approval_request_id": "ap", "approve": "yes"},
    ]
    assert answer_problems(PENDING, outputs) == snapshot(
        [
            "outputs[0].output: the result of the call",
            "outputs[1]: call 'c1' is answered twice",
            "outputs[2]: no call 'c9' is waiting",
            "outputs[3].type: a custom_tool_call is answered with custom_tool_call_output, not function_call_output",
            "outputs[4].status: completed or failed",
            'outputs[5].output[0].outcome: {"type": "exit", "exit_code": 0} or {"type": "timeout"}',
            "outputs[6].approve: true or false",
        ]
    )


@pytest.mark.parametrize(
    "output",
    [
        {"stdout": "a"},
        {"stdout": "a", "exit_code": "0"},
        {"stdout": "a", "timeout": False},
        {"output": [{"stdout": "a", "outcome": {"type": "exit"}}]},
        {"output": [{"stdout": "a", "outcome": {"type": "exit", "exit_code": None}}]},
        {"output": [{"stdout": "a", "outcome": {}}]},
        {"output": [{"stdout": "a"}]},
    ],
)
def test_a_command_whose_end_is_not_told_is_refused(output: dict[str, Any]) -> None:
    call = {"type": "shell_call", "call_id": "s", "action": {"commands": ["ls"]}}
    (problem,) = answer_problems([call], [{"call_id": "s", **output}])
    assert "exit_code" in problem


def test_a_screenshot_answers_a_call_of_the_computer_in_either_form() -> None:
    output: list[dict[str, Any]] = [
        {"type": "computer_call", "id": "cu", "call_id": "c1", "action": {"type": "screenshot"}, "status": "completed"}
    ]
    (call,) = pending_calls_of(output)
    assert call["action"] == {"type": "screenshot"}
    shot = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA"}
    answered = {"type": "computer_call_output", "call_id": "c1", "output": shot}
    for given in (shot, shot["image_url"]):
        outputs = [{"call_id": "c1", "output": given}]
        assert answer_problems([call], outputs) == []
        assert answer_items([call], outputs) == [answered]
    for odd in (None, 7, {}, {"image_url": 3}, []):
        assert answer_problems([call], [{"call_id": "c1", "output": odd}])
