"""Searching the web: the ``web_search`` tool of the Responses API, its citations as numbered marks and as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, Reason
from databricks_responses_mcp.responses.citations import link_edits
from databricks_responses_mcp.responses.edited_text import edited
from databricks_responses_mcp.responses.tool_shapes import domain_of
from databricks_responses_mcp.turns.ask import Question, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.outcome import Outcome

_SOURCES = "web_search_call.action.sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a caller wants to know. None means not given.

    Attributes:
        allowed_domains: the only sites to search, if any are named; of an address only the domain counts.
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
        text: the model's words, with a mark such as ``[1]`` after each part that a source is cited for, in place of a
            link to it.
        citations: ``number``, ``url``, ``title``; ``quote``, the words that are cited, and ``start`` and ``end``, where
            they stand in ``text``.
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


async def search(bridge: Bridge, wanted: Search, call: CallContext | None = None) -> Found:
    """Search and answer.

    Args:
        call: the call in flight; without it a call of its own, under the time limit of the settings.

    Raises:
        BridgeError: for every failure, by the error contract.
    """
    call = call or CallContext.start(bridge.settings)
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
        outcome = await ask(bridge, question, call)
    except BridgeError as error:
        if error.reason is not Reason.INCLUDE_REFUSED or not error.is_refusal:
            raise
        # Refused, so not billed: where the list of sources cannot be had, the answer still can.
        outcome = await ask(bridge, replace(question, extra={}), call)
    return read(outcome)


def read(outcome: Outcome) -> Found:
    """The answer with its citations numbered by URL, in the order in which they come."""
    numbers: dict[str, int] = {}
    marked: set[tuple[int, int, str]] = set()
    marked_urls: set[str] = set()
    placed: list[tuple[int, int, dict[str, Any]]] = []
    loose: list[dict[str, Any]] = []
    for citation in outcome.citations:
        url = citation.get("url")
        if not isinstance(url, str) or not url:
            continue
        number = numbers.setdefault(url, len(numbers) + 1)
        title = citation.get("title")
        fact = {
            "number": number,
            "url": url,
            "title": title if isinstance(title, str) else None,
            "quote": citation.get("quote"),
        }
        fact = {key: value for key, value in fact.items() if value}
        start, end = citation.get("start_index"), citation.get("end_index")
        if "quote" in citation and isinstance(start, int) and isinstance(end, int):
            marked.add((end, number, f"[{number}]"))
            marked_urls.add(url)
            placed.append((start, end, fact))
        else:
            loose.append(fact)
    marks = [(end, end, mark) for end, _, mark in sorted(marked)]
    # The marks stand for the links that the model wrote after its words.
    edits = sorted([*marks, *link_edits(outcome.text, marked_urls)], key=lambda edit: edit[:2])
    text = edited(outcome.text, edits)
    citations = [{**fact, "start": text.place(start), "end": text.place(end - 1) + 1} for start, end, fact in placed]
    calls = [item for item in outcome.output if item.get("type") == "web_search_call"]
    return Found(outcome, text.text, [*citations, *loose], _sources(calls), bool(calls))


def _tool(wanted: Search) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": "web_search"}
    if wanted.allowed_domains:
        tool["filters"] = {"allowed_domains": [domain_of(site) for site in wanted.allowed_domains]}
    if wanted.context_size is not None:
        tool["search_context_size"] = wanted.context_size
    if wanted.user_location:
        tool["user_location"] = {"type": "approximate", **wanted.user_location}
    return tool


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
