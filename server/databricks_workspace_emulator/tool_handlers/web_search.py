"""``web_search``: a search item, and sources for the message to cite. Nothing is searched."""

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote_plus

from databricks_workspace_emulator.turn import Citation, Turn
from databricks_workspace_emulator.writer import Event

_SOURCES = 2


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """Simulate a search for the prompt."""
    writer = turn.writer
    query = " ".join(turn.conversation.prompt.split())[:200] or "news"
    domains = (tool.get("filters") or {}).get("allowed_domains") or ["example.com", "example.org"]
    addresses = [f"https://{domains[number % len(domains)]}/{number + 1}" for number in range(_SOURCES)]
    citations = [
        Citation(f"{address}?q={quote_plus(query[:60])}", f"Result {number}")
        for number, address in enumerate(addresses, start=1)
    ]
    action: dict[str, Any] = {"type": "search", "query": query, "queries": [query]}
    item = {"type": "web_search_call", "status": "in_progress", "action": action}
    index, added = writer.add(item)
    yield added
    yield writer.on_item("response.web_search_call.in_progress", index)
    item["status"] = "searching"
    yield writer.on_item("response.web_search_call.searching", index)
    yield writer.on_item("response.web_search_call.completed", index)
    item["status"] = "completed"
    if turn.request.includes("web_search_call.action.sources"):
        action["sources"] = [{"type": "url", "url": citation.url} for citation in citations]
    yield writer.done(index)
    turn.citations += citations
    turn.notes.append(f"web_search found {_SOURCES} made-up results for {query!r}: no web was searched.")
