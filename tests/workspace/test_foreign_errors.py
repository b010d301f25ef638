"""What servers print of other languages' types is told in words, and nothing makes the reader fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.workspace.error_bodies import parse_error_value
from databricks_responses_mcp.workspace.foreign_errors import in_words, literal_in, problems_in

DEEP = "[{'a': " * 3000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Failed - {'error': {'message': 'Too hot.', 'param': 'temperature'}}", "Too hot."),
        ("400: [{'loc': ('body', 'x'), 'msg': 'Field required'}]", "Field required"),
        ("I like {'curly': 'braces'} in text", "I like {'curly': 'braces'} in text"),
        ("Unclosed [{'loc': (", "Unclosed [{'loc': ("),
        (
            "json: cannot unmarshal number into Go value of type map[string]int",
            "The body takes an object, not a number",
        ),
        (
            "json: cannot unmarshal array into Go struct field Request.input of type string",
            "input takes a string, not an array",
        ),
    ],
)
def test_a_representation_is_told_in_words(text: str, message: str) -> None:
    assert parse_error_value(text).message == message


def test_a_list_of_many_problems_is_cut() -> None:
    problems = [{"loc": ["body", "input", number], "msg": "Field required"} for number in range(9)]
    told = problems_in(problems)
    assert told is not None
    assert told.startswith("input.0: Field required; input.1: ")
    assert told.endswith("; and 4 more")


@pytest.mark.parametrize(
    "text", [DEEP, "{'" * 9000, "[" * 50_000, "{'a': " + "(" * 5000, "[{'a': 9**9**9}]", "x" * 10**6]
)
def test_a_hostile_text_is_left_as_it_is(text: str) -> None:
    assert literal_in(text) is None
    assert in_words(text) == text


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_error_value(text)
    parse_error_value("{'" + text)
