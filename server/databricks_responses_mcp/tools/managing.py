"""What ``manage_conversations`` does, an action each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from databricks_responses_mcp.calls.handoff import current_call, plainly
from databricks_responses_mcp.calls.jobs import Ended
from databricks_responses_mcp.calls.results import answer_result
from databricks_responses_mcp.calls.state import App, app_of
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.store.records import ConversationSummary
from databricks_responses_mcp.turns import conversation_queries
from databricks_responses_mcp.turns.compaction import compact
from databricks_responses_mcp.turns.transcript import age_of, as_json, as_markdown, facts_of
from databricks_responses_mcp.visible import visible

ACTIONS = ("list", "show", "export", "compact", "delete")
_SHOWN = 20
_MOST_DELETED = 100
_COMPACTED = "This summary stands for the earlier turns from now on:"


async def manage(
    ctx: Context[App],
    action: str,
    *,
    conversation_id: str | None,
    contains: str,
    older_than_days: float | None,
    format_: str,
    confirm: bool,
) -> CallToolResult:
    """Do one of ``ACTIONS``.

    Raises:
        BridgeError: for every failure, by the error contract.
    """
    app = app_of(ctx)
    if action == "list":
        return await _list(app, contains, older_than_days)
    if action == "delete":
        return await _delete(app, conversation_id, older_than_days, confirm=confirm)
    if action not in ACTIONS:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"There is no action {quoted(action)}.", f"Use one of {', '.join(ACTIONS)}."
        )
    if conversation_id is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"To {action} takes a conversation_id.", "Action list gives the ids."
        )
    if action == "compact":
        return await _compact(app, conversation_id)
    if format_ not in ("markdown", "json"):
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"There is no format {quoted(format_)}.", "Use markdown or json.")
    stored = await conversation_queries.read(app.bridge, conversation_id)
    as_text = as_json if action == "export" and format_ == "json" else as_markdown
    facts = {"status": "completed", "text": as_text(stored), "conversation_id": conversation_id}
    return answer_result(app, facts)


async def _list(app: App, contains: str, older_than_days: float | None) -> CallToolResult:
    found, total = await conversation_queries.find(
        app.bridge, contains=contains, older_than_days=older_than_days, limit=_SHOWN
    )
    facts = {
        "status": "completed",
        "text": _lines(found) or "No conversations.",
        "conversations": [facts_of(summary) for summary in found],
        "total": total,
    }
    if total > len(found):
        facts["notes"] = [f"These are the newest {len(found)} of {total}; `contains` narrows them down."]
    return answer_result(app, facts)


async def _delete(
    app: App, conversation_id: str | None, older_than_days: float | None, *, confirm: bool
) -> CallToolResult:
    meant = await conversation_queries.to_delete(app.bridge, conversation_id, older_than_days)
    # What goes is named: so no more go at once than a result has room for.
    found = meant[:_MOST_DELETED]
    if confirm:
        gone = set(await conversation_queries.delete(app.bridge, found))
        found = [summary for summary in found if summary.conversation_id in gone]
    head = "Deleted:" if confirm else "These would go; call again with confirm true to delete them:"
    facts: dict[str, Any] = {
        "status": "completed",
        "text": f"{head}\n{_lines(found)}" if found else "Nothing to delete.",
        "conversations": [facts_of(summary) for summary in found],
        "total": len(found),
        "deleted": confirm,
    }
    if len(meant) > len(found):
        facts["notes"] = [f"At most {_MOST_DELETED} go at once; call again for the other {len(meant) - _MOST_DELETED}."]
    return answer_result(app, facts)


async def _compact(app: App, conversation_id: str) -> CallToolResult:
    held = current_call.get()

    async def work() -> dict[str, Any]:
        return (await compact(app.bridge, conversation_id, held.start_work())).as_dict()

    def conclude(facts: dict[str, Any] | None, error: BridgeError | None) -> Ended:
        ended = plainly(facts, error)
        return ended if error is not None else replace(ended, lead=_COMPACTED)

    return await held.result(work, conclude)


def _lines(summaries: Sequence[ConversationSummary]) -> str:
    return "\n".join(
        f"- {visible(summary.conversation_id)}: {visible(summary.title)} ({visible(summary.model)}, "
        f"{summary.turns} turn{'s' * (summary.turns != 1)}, "
        f"{summary.input_tokens + summary.output_tokens} tokens, {age_of(summary.updated_at)} ago"
        f"{f', {summary.waiting} calls wait' if summary.waiting else ''})"
        for summary in summaries
    )
