"""What ``manage_conversations`` does, an action each."""

from collections.abc import Sequence
from typing import Any

from mcp.types import CallToolResult

from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.store.records import ConversationSummary
from databricks_responses_mcp.turns import conversation_queries
from databricks_responses_mcp.turns.compaction import compact
from databricks_responses_mcp.turns.transcript import age_of, as_json, as_markdown, facts_of
from databricks_responses_mcp.visible import visible

ACTIONS = ("list", "show", "export", "compact", "delete")
_SHOWN = 20
_MAX_DELETED = 100
_COMPACTED = "This summary stands for the earlier turns from now on:"


async def manage(
    call: ToolCall,
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
    if action == "list":
        return await _list(call, contains, older_than_days)
    if action == "delete":
        return await _delete(call, conversation_id, older_than_days, confirm=confirm)
    if action not in ACTIONS:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"There is no action {quoted(action)}.", f"Use one of {', '.join(ACTIONS)}."
        )
    if conversation_id is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"To {action} takes a conversation_id.", "Action list gives the ids."
        )
    if action == "compact":
        return await _compact(call, conversation_id)
    if format_ not in ("markdown", "json"):
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"There is no format {quoted(format_)}.", "Use markdown or json.")
    stored = await conversation_queries.read(call.app.bridge, conversation_id)
    as_text = as_json if action == "export" and format_ == "json" else as_markdown
    structured = {"status": "completed", "text": as_text(stored), "conversation_id": conversation_id}
    return call.result(structured)


async def _list(call: ToolCall, contains: str, older_than_days: float | None) -> CallToolResult:
    found, total = await conversation_queries.find(
        call.app.bridge, contains=contains, older_than_days=older_than_days, limit=_SHOWN
    )
    structured = {
        "status": "completed",
        "text": _lines(found) or "No conversations.",
        "conversations": [facts_of(summary) for summary in found],
        "total": total,
    }
    if total > len(found):
        structured["notes"] = [f"These are the newest {len(found)} of {total}; `contains` narrows them down."]
    return call.result(structured)


async def _delete(
    call: ToolCall, conversation_id: str | None, older_than_days: float | None, *, confirm: bool
) -> CallToolResult:
    meant = await conversation_queries.to_delete(call.app.bridge, conversation_id, older_than_days)
    # What goes is named: so no more go at once than a result has room for.
    found = meant[:_MAX_DELETED]
    if confirm:
        gone = set(await conversation_queries.delete(call.app.bridge, found))
        found = [summary for summary in found if summary.conversation_id in gone]
    head = "Deleted:" if confirm else "These would go; call again with confirm true to delete them:"
    structured: dict[str, Any] = {
        "status": "completed",
        "text": f"{head}\n{_lines(found)}" if found else "Nothing to delete.",
        "conversations": [facts_of(summary) for summary in found],
        "total": len(found),
        "deleted": confirm,
    }
    if len(meant) > len(found):
        others = len(meant) - _MAX_DELETED
        structured["notes"] = [f"At most {_MAX_DELETED} go at once; call again for the other {others}."]
    return call.result(structured)


async def _compact(call: ToolCall, conversation_id: str) -> CallToolResult:
    outcome = await compact(call.app.bridge, conversation_id, await call.begin())
    return call.result(outcome.as_dict(), preamble=_COMPACTED)


def _lines(summaries: Sequence[ConversationSummary]) -> str:
    return "\n".join(
        f"- {visible(summary.conversation_id)}: {visible(summary.title)} ({visible(summary.model)}, "
        f"{summary.turns} turn{'s' * (summary.turns != 1)}, "
        f"{summary.input_tokens + summary.output_tokens} tokens, {age_of(summary.updated_at)} ago"
        f"{f', {summary.waiting} calls wait' if summary.waiting else ''})"
        for summary in summaries
    )
