"""The input items that answer a model's calls: the format of each, and a caller's values converted to it.

Source: the ``*_call_output`` items and ``mcp_approval_response`` of the Responses API. Callers may give the whole item,
or only its relevant part (``call_id`` and the result): the rest comes from the call.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.replay import short_id
from databricks_responses_mcp.responses.tool_content import output_content, output_text

ANSWERED_TYPES = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "apply_patch_call",
        "shell_call",
        "computer_call",
        "mcp_approval_request",
    }
)
"""Types of the output items that wait for an answer of the caller."""

_SCREENSHOT = "computer_screenshot"


def answer_shape(call: Mapping[str, Any]) -> Item:
    """Return the item that answers a call, with placeholders for the caller's values."""
    kind = call.get("type")
    call_id = call.get("call_id")
    if kind == "mcp_approval_request":
        return {
            "type": "mcp_approval_response",
            "approval_request_id": call.get("id"),
            "approve": "<true or false, as the user decides>",
        }
    if kind == "apply_patch_call":
        return {
            "type": "apply_patch_call_output",
            "call_id": call_id,
            "status": "<completed or failed>",
            "output": "<what happened>",
        }
    if kind == "shell_call":
        result = {"stdout": "<text>", "stderr": "<text>", "outcome": {"type": "exit", "exit_code": "<number>"}}
        shape: Item = {"type": "shell_call_output", "call_id": call_id, "output": [result]}
        limit = _max_output_length(call)
        return shape if limit is None else {**shape, "max_output_length": limit}
    if kind == "computer_call":
        return {
            "type": "computer_call_output",
            "call_id": call_id,
            "output": {"type": "computer_screenshot", "image_url": "<data URL of a screenshot>"},
        }
    return {"type": f"{kind}_output", "call_id": call_id, "output": "<text, or a list of input_text and input_image>"}


def answer_problems(pending: Sequence[Mapping[str, Any]], outputs: Sequence[Any]) -> list[str]:
    """Return why these outputs cannot be sent: calls without an output, with two, or not pending, each by its id."""
    waiting = {_id_of(call): call for call in pending}
    problems: list[str] = []
    seen: set[str] = set()
    for number, output in enumerate(outputs):
        where = f"outputs[{number}]"
        if not isinstance(output, Mapping) or not (name := _given_id(output)):
            problems.append(
                f"{where}: an output is an object with the call_id (or approval_request_id) that it answers"
            )
            continue
        if name not in waiting:
            problems.append(f"{where}: no call {quoted(name)} is waiting")
        elif name in seen:
            problems.append(f"{where}: call {quoted(name)} is answered twice")
        else:
            problems += [f"{where}.{problem}" for problem in _shape_problems(waiting[name], output)]
        seen.add(name)
    problems += [
        f"call {quoted(name)} ({call.get('type')}) has no output" for name, call in waiting.items() if name not in seen
    ]
    return problems


def approved_calls(pending: Sequence[Mapping[str, Any]], outputs: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Return the pending MCP calls that these outputs would approve, whatever else is wrong with the outputs."""
    approving = {
        _given_id(output) for output in outputs if isinstance(output, Mapping) and output.get("approve") is not False
    }
    return [call for call in pending if call.get("type") == "mcp_approval_request" and _id_of(call) in approving]


def with_decisions(outputs: Sequence[Mapping[str, Any]], decisions: Mapping[str, Item]) -> list[Mapping[str, Any]]:
    """Return the outputs with those for approvals replaced by the decision on each, by the approval's id."""
    return [decisions.get(_given_id(output), output) for output in outputs]


def answer_items(pending: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Return the input items for valid outputs, in the order of the calls."""
    given = {_given_id(output): output for output in outputs}
    return [_item(call, given[_id_of(call)]) for call in pending]


def _item(call: Mapping[str, Any], output: Mapping[str, Any]) -> Item:
    kind = call.get("type")
    item: Item
    if kind == "mcp_approval_request":
        item = {
            "type": "mcp_approval_response",
            "approval_request_id": short_id(_id_of(call)),  # as the request itself is sent again
            "approve": output["approve"],
        }
        return {**item, "reason": output["reason"]} if output.get("reason") else item
    item = {"type": f"{kind}_output", "call_id": short_id(str(call["call_id"]))}
    if kind == "apply_patch_call":
        item["status"] = output["status"]
        if output.get("output"):
            item["output"] = output_text(output["output"])
    elif kind == "shell_call":
        item["output"] = _shell_results(output)
        if (limit := _max_output_length(call)) is not None:
            item["max_output_length"] = limit
    elif kind == "computer_call":
        shot = output["output"]
        item["output"] = dict(shot) if isinstance(shot, Mapping) else {"type": _SCREENSHOT, "image_url": shot}
        if output.get("acknowledged_safety_checks"):
            item["acknowledged_safety_checks"] = output["acknowledged_safety_checks"]
    else:
        item["output"] = output_content(output["output"])
    return item


def _shape_problems(call: Mapping[str, Any], output: Mapping[str, Any]) -> list[str]:
    kind = call.get("type")
    expected = answer_shape(call)["type"]
    if output.get("type", expected) != expected:
        return [f"type: a {kind} is answered with {expected}, not {output['type']}"]
    if kind == "mcp_approval_request":
        return [] if isinstance(output.get("approve"), bool) else ["approve: true or false"]
    if kind == "apply_patch_call":
        return [] if output.get("status") in ("completed", "failed") else ["status: completed or failed"]
    if kind == "shell_call":
        return _shell_problems(output)
    if kind == "computer_call":
        shot = output.get("output")
        url = shot.get("image_url") or shot.get("file_id") if isinstance(shot, Mapping) else shot
        return [] if isinstance(url, str) and url else ["output: a screenshot, as a data URL or {type, image_url}"]
    return [] if "output" in output else ["output: the result of the call"]


def _shell_problems(output: Mapping[str, Any]) -> list[str]:
    results = output.get("output")
    if results is None:
        if isinstance(output.get("exit_code"), int) or output.get("timeout") is True:
            return []
        return ["output: a list of {stdout, stderr, outcome}, or stdout, stderr and exit_code (or timeout: true)"]
    if not isinstance(results, list) or not results:
        return ["output: a list of {stdout, stderr, outcome}, one for each command"]
    problems: list[str] = []
    for number, result in enumerate(results):
        outcome = result.get("outcome") if isinstance(result, Mapping) else None
        kind = outcome.get("type") if isinstance(outcome, Mapping) else None
        ended = kind == "timeout" or (kind == "exit" and isinstance(_get(outcome, "exit_code"), int))
        if not ended:
            problems.append(f'output[{number}].outcome: {{"type": "exit", "exit_code": 0}} or {{"type": "timeout"}}')
    return problems


def _shell_results(output: Mapping[str, Any]) -> list[Item]:
    results = output.get("output")
    if results is None:
        timed_out = output.get("timeout") is True
        outcome = {"type": "timeout"} if timed_out else {"type": "exit", "exit_code": output["exit_code"]}
        results = [{"stdout": output.get("stdout"), "stderr": output.get("stderr"), "outcome": outcome}]
    return [
        {
            "stdout": output_text(result.get("stdout")),
            "stderr": output_text(result.get("stderr")),
            "outcome": dict(result["outcome"]),
        }
        for result in results
    ]


def _max_output_length(call: Mapping[str, Any]) -> int | None:
    limit = _get(call.get("action"), "max_output_length")
    return limit if isinstance(limit, int) else None


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _id_of(call: Mapping[str, Any]) -> str:
    name = call.get("approval_request_id") or call.get("call_id") or call.get("id")
    return str(name)


def _given_id(output: Mapping[str, Any]) -> str:
    name = output.get("call_id") or output.get("approval_request_id")
    return name if isinstance(name, str) else ""
