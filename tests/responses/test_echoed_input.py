"""What an output repeats of its input is no part of the answer."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.echoed_input import input_marks, without_echo

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "1"}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}


def test_items_that_repeat_the_input_are_left_out_in_whatever_form_they_come() -> None:
    repeated = {**USER, "id": "msg_1", "status": "completed", "content": "Hi"}
    again = {**CALL, "call_id": "c2"}
    assert without_echo([repeated, {**CALL, "id": "fc_1"}, OUTPUT, SAID], input_marks([USER, CALL, OUTPUT])) == [SAID]
    assert without_echo([SAID, again], input_marks([USER])) == [SAID, again]
    assert without_echo([SAID, {**USER, "content": "other"}], input_marks([USER])) == [SAID]


def test_an_answer_that_says_the_same_again_is_kept() -> None:
    assert without_echo([USER, SAID, USER, SAID], input_marks([USER, SAID, USER])) == [SAID]
    assert without_echo([SAID], input_marks([USER, SAID, USER])) == [SAID]


JSON = st.recursive(st.none() | st.text(max_size=2), lambda inner: st.lists(inner, max_size=2), max_leaves=4)
ITEM = st.dictionaries(st.sampled_from(["type", "role", "content", "call_id"]), JSON, max_size=3)


@given(st.lists(ITEM, max_size=4), st.lists(ITEM, max_size=4) | JSON)
def test_nothing_makes_it_fail(output: list[Any], given_input: Any) -> None:
    assert len(without_echo(output, input_marks(given_input))) <= len(output)
