"""The tool ``manage_conversations``."""

from collections.abc import Sequence
from typing import Annotated, Any

import anyio.to_thread
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.store.records import ConversationSummary
from databricks_responses_mcp.tools.arguments import Maybe, Optional
from databricks_responses_mcp.tools.schema import ErrorFacts, define_tool
from databricks_responses_mcp.turns import conversation_queries
from databricks_responses_mcp.turns.compaction import compact
from databricks_responses_mcp.turns.transcript import age_of, as_json, as_markdown, facts_of
from databricks_responses_mcp.visible import visible

DESCRIPTION = """\
List, show, export, compact or delete stored conversations.
Use when an earlier conversation is to be found, read, shortened or deleted. \
compact replaces the earlier turns by a summary and costs tokens; the other actions are Free."""

ACTIONS = ("list", "show", "export", "compact", "delete")
_SHOWN = 20
_MAX_DELETED = 100
_COMPACTED = "This summary replaces the earlier turns from now on:"


class ManagedFacts(BaseModel):
    """The result of managing conversations."""

    status: str
    text: Maybe[str] = Field(None, description="The conversation, or its summary.")
    text_uri: Maybe[str] = None
    conversation_id: Maybe[str] = None
    conversations: Maybe[list[dict[str, Any]]] = None
    total: Maybe[int] = None
    deleted: Maybe[bool] = None
    usage: Maybe[dict[str, Any]] = None
    notes: Maybe[list[str]] = None
    error: Maybe[ErrorFacts] = None


async def manage_conversations(
    call: ToolCall,
    action: Annotated[str, Field(description="list, show, export, compact or delete.")],
    conversation_id: Annotated[
        Optional[str], Field(description="The conversation to show, export, compact or delete.")
    ] = None,
    contains: Annotated[
        Optional[str], Field(description="For list: only conversations whose title contains this text.")
    ] = None,
    older_than_days: Annotated[
        Optional[Annotated[float, Field(ge=0)]],
        Field(description="For list and delete: only conversations not used for this many days. Default: any age."),
    ] = None,
    format: Annotated[  # noqa: A002 - what callers call it
        Optional[str], Field(description="For export: markdown or json. Default: markdown.")
    ] = None,
    confirm: Annotated[
        bool, Field(description="For delete: true deletes. Default: false, which lists what would be deleted.")
    ] = False,
) -> Annotated[CallToolResult, ManagedFacts]:
    """Manage stored conversations; see DESCRIPTION.

    Raises:
        BridgeError: for every failure, by the error contract.
    """
    export_format = format or "markdown"
    if action == "list":
        return await _list(call, contains or "", older_than_days)
    if action == "delete":
        return await _delete(call, conversation_id, older_than_days, confirm=confirm)
    if action not in ACTIONS:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"Unknown action: {quoted(action)}.", f"Use one of {', '.join(ACTIONS)}."
        )
    if conversation_id is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"The action {action} requires a conversation_id.",
            "The action list returns the ids.",
        )
    if action == "compact":
        return await _compact(call, conversation_id)
    if export_format not in ("markdown", "json"):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"There is no format {quoted(export_format)}.", "Use markdown or json."
        )
    stored = await conversation_queries.read(call.app.bridge, conversation_id)
    as_text = as_json if action == "export" and export_format == "json" else as_markdown
    # In a thread, because a conversation with images has megabytes.
    text = await anyio.to_thread.run_sync(as_text, stored)
    structured = {"status": "completed", "text": text, "conversation_id": conversation_id}
    return await call.result(structured)


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
    return await call.result(structured)


async def _delete(
    call: ToolCall, conversation_id: str | None, older_than_days: float | None, *, confirm: bool
) -> CallToolResult:
    meant = await conversation_queries.to_delete(call.app.bridge, conversation_id, older_than_days)
    # The result names each deleted conversation, so the number is limited by the size of a result.
    found = meant[:_MAX_DELETED]
    if confirm:
        gone = set(await conversation_queries.delete(call.app.bridge, found))
        found = [summary for summary in found if summary.conversation_id in gone]
    head = "Deleted:" if confirm else "These would be deleted; call again with confirm true to delete them:"
    structured: dict[str, Any] = {
        "status": "completed",
        "text": f"{head}\n{_lines(found)}" if found else "Nothing to delete.",
        "conversations": [facts_of(summary) for summary in found],
        "total": len(found),
        "deleted": confirm,
    }
    if len(meant) > len(found):
        others = len(meant) - _MAX_DELETED
        structured["notes"] = [
            f"One call deletes at most {_MAX_DELETED} conversations; call again for the other {others}."
        ]
    return await call.result(structured)


async def _compact(call: ToolCall, conversation_id: str) -> CallToolResult:
    outcome = await compact(call.app.bridge, conversation_id, await call.begin())
    return await call.result(outcome.as_dict(), preamble=_COMPACTED)


def _lines(summaries: Sequence[ConversationSummary]) -> str:
    return "\n".join(
        f"- {visible(summary.conversation_id)}: {visible(summary.title)} ({visible(summary.model)}, "
        f"{summary.turns} turn{'s' * (summary.turns != 1)}, "
        f"{summary.input_tokens + summary.output_tokens} tokens, {age_of(summary.updated_at)} ago"
        f"{f', {summary.waiting} calls wait' if summary.waiting else ''})"
        for summary in summaries
    )


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        manage_conversations,
        title="Manage conversations",
        description=DESCRIPTION,
        read_only=False,
        destructive=True,
        idempotent=True,
        open_world=False,
    )
