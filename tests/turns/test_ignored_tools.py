"""What a server ignored of a request's tools is told beside its answer."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.accumulator import AssembledResponse
from databricks_responses_mcp.turns.ignored_tools import ignored_tools_note

MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Prose."}]}
FUNCTION = {"type": "function", "name": "f"}
SEARCH = {"type": "web_search"}


def note(tools: Any, *items: dict[str, Any], echoed: Any = None, choice: Any = None, status: str = "completed") -> Any:
    fields = {} if echoed is None else {"tools": echoed}
    request = {"tools": tools, **({} if choice is None else {"tool_choice": choice})}
    return ignored_tools_note(request, AssembledResponse(status, [*items, MESSAGE], fields))


def test_types_that_a_response_does_not_repeat_were_ignored() -> None:
    assert note([FUNCTION, SEARCH], echoed=[FUNCTION]) == (
        "The response does not list the tools of type web_search: the server has probably ignored them."
    )
    assert "the tools of type function, web_search:" in note([FUNCTION, SEARCH], echoed=[])


@pytest.mark.parametrize(("choice", "named"), [("required", "function or web_search"), (SEARCH, "web_search")])
def test_a_demanded_call_that_did_not_come_is_told(choice: Any, named: str) -> None:
    assert f"asked for a call of {named}," in note([FUNCTION, SEARCH], choice=choice)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"echoed": [FUNCTION, SEARCH]},
        {"echoed": "odd"},
        {"choice": "auto"},
        {"choice": {"type": "allowed_tools"}},
        {"choice": "required", "status": "incomplete"},
        {"echoed": [], "status": "failed"},
    ],
)
def test_nothing_is_told_where_nothing_shows_it(more: dict[str, Any]) -> None:
    assert note([FUNCTION, SEARCH], **more) is None


def test_a_tool_that_was_called_was_not_ignored() -> None:
    assert note([SEARCH], {"type": "web_search_call"}, echoed=[], choice="required") is None
    assert note([FUNCTION], {"type": "function_call"}, echoed=[], choice="required") is None
    assert note(None) is None
    assert note(["odd"], echoed=[]) is None
