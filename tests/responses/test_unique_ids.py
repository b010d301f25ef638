"""Ids of calls that servers repeat."""

from typing import Any

from databricks_responses_mcp.responses.unique_ids import call_ids, unique_calls, unique_items


def call(call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, **more}


def output(call_id: str, said: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": said}


def test_a_call_id_that_comes_twice_is_renamed_with_its_output() -> None:
    items = [call("c"), call("c"), output("c", "first"), output("c", "second"), call("c"), output("c", "third")]
    assert unique_calls(items) == [
        call("c"),
        call("c_2"),
        output("c", "first"),
        output("c_2", "second"),
        call("c_3"),
        output("c_3", "third"),
    ]
    assert unique_calls(unique_calls(items)) == unique_calls(items)


def test_ids_that_are_unique_stay_as_they_are() -> None:
    items = [call("a"), output("a", "x"), {"type": "message", "content": "hi"}, output("nobody's", "y")]
    assert unique_calls(items) == items


def test_an_id_of_an_earlier_turn_is_not_used_again() -> None:
    assert unique_calls([call("c"), call("d")], {"c", "c_2"}) == [call("c_3"), call("d")]


def test_long_ids_are_shortened_and_stay_apart() -> None:
    first, second, third = unique_calls(
        [call("call_" + "x" * 190), call("call_" + "x" * 190), call("y" * 64)], {"y" * 64}
    )
    names = [str(item["call_id"]) for item in (first, second, third)]
    assert len(set(names)) == 3
    assert all(len(name) <= 64 for name in names)


def test_approvals_are_renamed_with_their_answers() -> None:
    request = {"type": "mcp_approval_request", "id": "ap", "arguments": "{}"}
    answer = {"type": "mcp_approval_response", "approval_request_id": "ap", "approve": True}
    done = {"type": "mcp_call", "id": "mcp", "approval_request_id": "ap"}
    assert unique_calls([request, answer, done, request, answer, done]) == [
        request,
        answer,
        done,
        {**request, "id": "ap_2"},
        {**answer, "approval_request_id": "ap_2"},
        {**done, "approval_request_id": "ap_2"},
    ]
    assert call_ids([request, call("c"), output("d", "x")]) == {"ap", "c"}


def test_odd_items_pass() -> None:
    odd: list[Any] = [{}, {"type": 7}, {"type": ["function_call"]}, call(None), {"type": "shell_call"}]  # type: ignore[arg-type]
    assert unique_calls(odd) == odd


def test_ids_of_items_that_come_twice_are_renamed_and_calls_with_their_outputs() -> None:
    said = {"type": "message", "id": "msg_1", "content": "hi"}
    thought = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}
    request = {"type": "mcp_approval_request", "id": "msg_1_2", "arguments": "{}"}
    items = [thought, said, call("c", id="fc"), output("c", "1"), thought, said, call("c", id="fc"), output("c", "2")]
    assert unique_items([*items, said, request]) == [
        thought,
        said,
        call("c", id="fc"),
        output("c", "1"),
        {**thought, "id": "rs_1_2"},
        {**said, "id": "msg_1_3"},
        call("c_2", id="fc_2"),
        output("c_2", "2"),
        {**said, "id": "msg_1_4"},
        request,
    ]


def test_items_without_an_id_and_references_to_items_pass() -> None:
    items: list[Any] = [{}, {"id": 7}, {"id": 7}, {"id": "m"}, {"type": "item_reference", "id": "m"}]
    assert unique_items(items) == items


def test_an_id_that_thousands_of_items_share_is_numbered_in_one_pass() -> None:
    # Trying each number from the beginning would take 800 million looks.
    items = [{"type": "message", "id": "msg", "role": "assistant"}] * 40_000

    names = [item["id"] for item in unique_items(items)]

    assert names == ["msg", *(f"msg_{number}" for number in range(2, 40_001))]
