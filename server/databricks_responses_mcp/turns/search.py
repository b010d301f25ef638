"""Searching the web: the ``web_search`` tool of the Responses API, its citations as numbered marks and as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.ask import Question, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.progress import Reporter

_SOURCES = "web_search_call.action.sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a caller wants to know. None means not given.

    Attributes:
        allowed_domains: the only sites to search, if any are named.
        context_size: ``low``, ``medium`` or ``high``: how much of what is found the model reads.
        conversation_id: an earlier conversation that the question is asked in.
        user_location: ``city``, ``region``, ``country`` (two letters), ``timezone``.
    """

    question: str
    model: str | None = None
    allowed_domains: Sequence[str] = ()
    context_size: str | None = None
    user_location: Mapping[str, Any] | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An answer with its evidence.

    Attributes:
        text: the model's words, a mark such as ``[1]`` after each part that a source is cited for.
        citations: ``number``, ``url``, ``title``, ``start`` and ``end`` (characters of ``text``), ``quote``.
        sources: every URL that was looked at, where the API says.
        searched: whether the model searched at all.
    """

    outcome: Outcome
    text: str
    citations: list[dict[str, Any]]
    sources: list[str]
    searched: bool

    def facts(self) -> dict[str, Any]:
        """The result contract's fields."""
        facts = {**self.outcome.as_dict(), "text": self.text, "citations": self.citations, "sources": self.sources}
        if not self.searched:
            facts["notes"] = [*facts.get("notes", []), "The model answered without searching: nothing backs this."]
        return {key: value for key, value in facts.items() if value or key == "text"}


async def search(bridge: Bridge, wanted: Search, *, reporter: Reporter | None = None) -> Found:
    """Search and answer.

    Raises:
        BridgeError: for every failure, by the error contract.
    """
    question = Question(
        prompt=wanted.question,
        model=wanted.model,
        tools=[_tool(wanted)],
        # The only tool, so this means it: the search has no choice of its own in the API.
        tool_choice="required",
        extra={"include": [_SOURCES]},
        conversation_id=wanted.conversation_id,
        once=True,
    )
    try:
        outcome = await ask(bridge, question, reporter=reporter)
    except BridgeError as error:
        if error.code not in (ErrorCode.INVALID_ARGUMENT, ErrorCode.UNSUPPORTED_BY_MODEL) or "include" not in str(
            error
        ):
            raise
        # Refused, so not billed: where the list of sources cannot be had, the answer still can.
        outcome = await ask(bridge, replace(question, extra={}), reporter=reporter)
    return read(outcome)


def read(outcome: Outcome) -> Found:
    """The answer with its citations numbered by URL, in the order in which they come."""
    numbers: dict[str, int] = {}
    marks: list[tuple[int, int]] = []
    placed: list[tuple[int, int, int, dict[str, Any]]] = []
    loose: list[dict[str, Any]] = []
    for citation in outcome.citations:
        url = citation.get("url")
        if not isinstance(url, str) or not url:
            continue
        number = numbers.setdefault(url, len(numbers) + 1)
        fact = {"number": number, "url": url, "title": citation.get("title")}
        start, end = citation.get("start_index"), citation.get("end_index")
        if "quote" in citation and isinstance(start, int) and isinstance(end, int):
            marks.append((end, number))
            placed.append((start, end, number, fact))
        else:
            loose.append({key: value for key, value in fact.items() if value})
    text, shifts = _marked(outcome.text, sorted(set(marks)))
    citations = [
        {
            **{key: value for key, value in fact.items() if value},
            "start": start + _shift(shifts, start),
            "end": end + _shift(shifts, end - 1),
            "quote": outcome.text[start:end],
        }
        for start, end, _, fact in placed
    ]
    calls = [item for item in outcome.output if item.get("type") == "web_search_call"]
    return Found(outcome, text, [*citations, *loose], _sources(calls), bool(calls))


def _tool(wanted: Search) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": "web_search"}
    if wanted.allowed_domains:
        tool["filters"] = {"allowed_domains": list(wanted.allowed_domains)}
    if wanted.context_size is not None:
        tool["search_context_size"] = wanted.context_size
    if wanted.user_location:
        tool["user_location"] = {"type": "approximate", **wanted.user_location}
    return tool


def _marked(text: str, marks: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """``text`` with its marks in it, and from which position on how many characters have been put in."""
    parts: list[str] = []
    shifts: list[tuple[int, int]] = []
    last = added = 0
    for end, number in marks:
        mark = f"[{number}]"
        parts += [text[last:end], mark]
        last = end
        added += len(mark)
        shifts.append((end, added))
    return "".join([*parts, text[last:]]), shifts


def _shift(shifts: list[tuple[int, int]], position: int) -> int:
    return max((added for end, added in shifts if end <= position), default=0)


def _sources(calls: list[dict[str, Any]]) -> list[str]:
    urls: dict[str, None] = {}
    for call in calls:
        action = call.get("action")
        sources = action.get("sources") if isinstance(action, dict) else None
        for source in sources if isinstance(sources, list) else []:
            url = source.get("url") if isinstance(source, dict) else None
            if isinstance(url, str):
                urls[url] = None
    return list(urls)
