"""Searching the web: the ``web_search`` tool of the Responses API, with its citations as numbered marks and as data.

For models without it, the workspace's MCP service searches, if there is one: its tools are functions for the model.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from databricks_responses_mcp.errors import BridgeError, Reason
from databricks_responses_mcp.responses.citations import link_edits
from databricks_responses_mcp.responses.edited_text import edited
from databricks_responses_mcp.responses.tool_shapes import domain_of
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.workspace.model_profile import profile_of_name

SEARCH_SERVICE = "system.ai.web_search"
"""The MCP service of Unity Catalog that searches the web."""
MAX_ROUNDS = 4
"""The maximum number of rounds in which a model may call the service before it must answer."""
_MAX_SOURCES = 100
_URL = re.compile(r"https?://[^\s\"'<>()\[\]{}\\]{1,2000}")
_SOURCES = "web_search_call.action.sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The request of a caller for a search. None means not given.

    Attributes:
        allowed_domains: the only sites to search, if any are given; of a URL only the domain counts.
        context_size: ``low``, ``medium`` or ``high``: how much of the results the model reads.
        conversation_id: an earlier conversation to continue.
        user_location: ``city``, ``region``, ``country`` (two letters), ``timezone``.
    """

    question: str
    model: str | None = None
    allowed_domains: Sequence[str] = ()
    context_size: str | None = None
    user_location: Mapping[str, Any] | None = None
    conversation_id: str | None = None


class SearchServer(Protocol):
    """Runs the searches of models that have no web search of their own."""

    async def tools(self) -> list[dict[str, Any]]:
        """Return its tools as function tools; raises `BridgeError`."""
        ...

    async def call(self, name: str, arguments: str) -> str:
        """Call a tool with a JSON object and return its text; raises `BridgeError`."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An answer with its sources.

    Attributes:
        text: the model's text, with a mark such as ``[1]`` after each cited part, in place of the link.
        citations: ``number``, ``url``, ``title``; ``quote``, the cited text, and ``start`` and ``end``, its position in
            ``text``.
        sources: every URL that was read, if the API reports them.
        searched: whether the model searched at all.
    """

    outcome: Outcome
    text: str
    citations: list[dict[str, Any]]
    sources: list[str]
    searched: bool

    def structured(self) -> dict[str, Any]:
        """Return the fields of the result."""
        structured = {**self.outcome.as_dict(), "text": self.text, "citations": self.citations, "sources": self.sources}
        if not self.searched:
            unbacked = "The model answered without searching: nothing backs this."
            structured["notes"] = [*structured.get("notes", []), unbacked]
        return {key: value for key, value in structured.items() if value or key == "text"}


async def search(
    bridge: Bridge, wanted: Search, call: CallContext | None = None, *, server: SearchServer | None = None
) -> Found:
    """Search the web and answer a question.

    Args:
        call: the call in flight; without it the function makes its own, with the time limit of the settings.
        server: searches for a model that has no web search of its own, where the workspace has the service.

    Raises:
        BridgeError: for every failure, by the error contract.
    """
    call = call or CallContext.start(bridge.settings)
    if server is not None:
        async with call.deadline.bounds("finding out how the model searches"):
            needs_service = await _needs_service(bridge, wanted)
        if needs_service:
            return await _search_by(server, bridge, wanted, call)
    question = AskRequest(
        prompt=wanted.question,
        model=wanted.model,
        tools=[_tool(wanted)],
        # The only tool, so this selects it: the API has no tool choice for the search itself.
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
        # Refused, so not billed: without the list of sources the endpoint may still answer.
        outcome = await ask(bridge, replace(question, extra={}), call)
    return read(outcome)


async def _needs_service(bridge: Bridge, wanted: Search) -> bool:
    """Return whether the named model has no web search of its own, and the workspace has the service."""
    model = wanted.model
    if model is None and wanted.conversation_id is not None:
        async with bridge.conversations.turn_of(wanted.conversation_id) as conversation:
            model = conversation.endpoint
    model = model or bridge.settings.model
    if model is None or (bridge.policy is not None and not bridge.policy.allows_mcp_server(SEARCH_SERVICE)):
        return False
    endpoint = await bridge.endpoints.get(model)
    profile = endpoint.profile if endpoint is not None else profile_of_name(model)
    if profile.model_class != "open" or profile.has("web_search") != "no":
        return False
    try:
        return await bridge.catalog.get("mcp-services", SEARCH_SERVICE) is not None
    except BridgeError:
        return False


async def _search_by(server: SearchServer, bridge: Bridge, wanted: Search, call: CallContext) -> Found:
    """Let the model search by functions that the server runs; after some rounds it must answer."""
    async with call.deadline.bounds(f"asking {SEARCH_SERVICE} for its tools"):
        tools = await server.tools()
    question = AskRequest(
        prompt=wanted.question,
        model=wanted.model,
        instructions=_instructions(wanted),
        tools=tools,
        tool_choice="required",
        conversation_id=wanted.conversation_id,
        once=True,
    )
    outcome = await ask(bridge, question, call)
    urls: dict[str, None] = {}
    searches = 0
    for left in range(MAX_ROUNDS - 1, -1, -1):
        if not outcome.pending_calls or outcome.conversation_id is None:
            break
        outputs: list[dict[str, Any]] = []
        for one in outcome.pending_calls:
            try:
                async with call.deadline.bounds(f"searching with {SEARCH_SERVICE}"):
                    text = await server.call(str(one.get("name")), str(one.get("arguments") or ""))
                searches += 1
            except BridgeError as error:
                # The model receives the error as output, so that no call stays pending in the conversation.
                text = f"The search failed: {error}"
            urls |= dict.fromkeys(_URL.findall(text))
            outputs.append({"call_id": one["call_id"], "output": text})
        # The last round has no tools: the model must answer.
        once = {"tools": tools, "tool_choice": "auto" if left else "none"}
        later = await answer_calls(bridge, outcome.conversation_id, outputs, call, once=once)
        outcome = outcome.merge(later)
    sources = [url.rstrip(".,;:!?") for url in urls][:_MAX_SOURCES]
    cited = [url for url in sources if url in outcome.text]
    citations = [{"number": number, "url": url} for number, url in enumerate(cited, 1)]
    note = f"Searched by {SEARCH_SERVICE}, because the model has no web search of its own."
    outcome = replace(outcome, notes=(*outcome.notes, note))
    return Found(outcome, outcome.text, citations, sources, bool(searches))


def _instructions(wanted: Search) -> str:
    told = ["Search before you answer, and name the URL of each source that you use."]
    if wanted.allowed_domains:
        told.append(f"Use only these sites: {', '.join(domain_of(site) for site in wanted.allowed_domains)}.")
    if wanted.user_location:
        place = ", ".join(f"{name} {value}" for name, value in wanted.user_location.items() if value)
        told.append(f"The user is here: {place[:300]}.")
    return " ".join(told)


def read(outcome: Outcome) -> Found:
    """Return the answer with its citations numbered by URL, in order of appearance."""
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
    # The marks replace the links that the model wrote after its words.
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
