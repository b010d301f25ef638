"""``conversations``: the tool ``manage_conversations`` as a command.

All actions except ``compact`` need only the store: no workspace, no sign-in.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from databricks_responses_mcp.cli.errors import EXIT_CODES, failing_as_json
from databricks_responses_mcp.cli.help import EXIT_CODES_HELP, NamingContext, SectionedCommand
from databricks_responses_mcp.cli.options import (
    ASKING,
    FiniteRange,
    SessionOptions,
    json_option,
    session_options,
    store_options,
)
from databricks_responses_mcp.cli.phases import phases
from databricks_responses_mcp.cli.printing import counted, note, sign, write_json, write_out
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import open_session, settings_for_terminal
from databricks_responses_mcp.cli.tables import Column, aligned, write_table
from databricks_responses_mcp.cli.wrapping import wrapped
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.visible import visible

if TYPE_CHECKING:
    from databricks_responses_mcp.store.records import ConversationSummary

_T = TypeVar("_T")
_DAYS = FiniteRange(0, 36_500)
_COLUMNS = (
    Column(heading="Id", style="bold"),
    Column(heading="Model", style="cyan", rank=3),
    Column(heading="Turns", numbers=True, rank=2),
    Column(heading="Tokens", numbers=True, rank=4),
    Column(heading="Age", style="dim", rank=1),
    Column(heading="Title", elastic=True),
)


class _Conversations(click.Group):
    """A group of commands whose default is ``list``."""

    context_class = NamingContext

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Conversations,
    help="List, show, export, compact or delete stored conversations. Without a command: list.",
    epilog=EXIT_CODES_HELP,
)
def command() -> None:
    """The group of the commands."""


@command.command("list", cls=SectionedCommand, help="List conversations, newest first.")
@click.option("--contains", metavar="TEXT", default="", help="Only conversations whose id or title contains TEXT.")
@click.option("--older-than", type=_DAYS, metavar="DAYS", help="Only conversations not used for DAYS days.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, metavar="N", help="List at most N conversations. Default: 20."
)
@json_option
@store_options()
def list_(session: SessionOptions, contains: str, older_than: float | None, limit: int, as_json: bool) -> None:
    """List."""

    async def find(bridge: Bridge) -> "tuple[list[ConversationSummary], int]":
        from databricks_responses_mcp.turns import conversation_queries

        return await conversation_queries.find(bridge, contains=contains, older_than_days=older_than, limit=limit)

    with failing_as_json(as_json):
        found, total = _with_store(session, find)
    if as_json:
        write_json({"conversations": _facts(found), "total": total})
        return
    if found:
        write_table(_COLUMNS, [_cells(summary) for summary in found])
    else:
        note("No conversation matches." if contains or older_than is not None else "No conversation is stored.")
    if total > len(found):
        note(f"These are the newest {len(found)} of {total}; --limit shows more.")


@command.command(cls=SectionedCommand, help="Print a conversation as Markdown.")
@click.argument("conversation_id", metavar="ID")
@json_option
@store_options()
def show(session: SessionOptions, conversation_id: str, as_json: bool) -> None:
    """Print."""
    with failing_as_json(as_json):
        text = _written(session, conversation_id, as_json=as_json)
    write_out(text if as_json else wrapped(text, sys.stdout))


@command.command(
    cls=SectionedCommand,
    short_help="Export a conversation as Markdown or JSON.",
    help="Export a conversation as Markdown, or complete as JSON, to stdout or to a file.",
)
@click.argument("conversation_id", metavar="ID")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    help="markdown for reading, or json for everything that is stored, input images included. Default: markdown.",
)
@click.option("-o", "--output", metavar="FILE", help="New file, readable only by you. Default: stdout.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@store_options()
def export(session: SessionOptions, conversation_id: str, format_: str, output: str | None, force: bool) -> None:
    """Export."""
    text = _written(session, conversation_id, as_json=format_ == "json")
    if output is None or output == "-":
        write_out(text)
        return
    from databricks_responses_mcp.cli.exporting import write_new

    write_out(f"{write_new(output, text, replace=force)}\n")


@command.command(
    cls=SectionedCommand,
    short_help="Replace the turns so far by a summary.",
    help="Let a conversation's model summarize it. From then on the summary is sent in place of the turns so far; "
    "`show` and `export` still have these turns. The summary goes to stdout. Costs tokens.",
)
@click.argument("conversation_id", metavar="ID")
@json_option
@session_options(ASKING, without=("model",))
def compact(session: SessionOptions, conversation_id: str, as_json: bool) -> None:
    """Compact."""
    with failing_as_json(as_json):
        structured = run_async(partial(_compact, session, conversation_id))
    if as_json:
        write_json(structured)
        return
    write_out(wrapped(f"{structured['text']}\n", sys.stdout))
    for said in structured.get("notes", []):
        note(said)
    sign(structured)


@command.command(
    cls=SectionedCommand,
    short_help="Delete conversations by id or by age.",
    help="Delete conversations by id, or those not used for a number of days. Their token counts "
    "remain in `usage`, without any text.",
)
@click.argument("conversation_ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--older-than", type=_DAYS, metavar="DAYS", help="Delete conversations not used for DAYS days; 0 deletes all."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation. Required without a terminal.")
@json_option
@store_options()
def delete(
    session: SessionOptions, conversation_ids: tuple[str, ...], older_than: float | None, yes: bool, as_json: bool
) -> int:
    """Delete."""
    with failing_as_json(as_json):
        meant = _with_store(session, partial(_meant, conversation_ids, older_than))
        if meant and not yes and not _agreed(meant):
            note("Nothing was deleted.")
            return EXIT_CODES[ErrorCode.CANCELLED]

        async def go(bridge: Bridge) -> list[str]:
            from databricks_responses_mcp.turns import conversation_queries

            return await conversation_queries.delete(bridge, meant)

        gone = set(_with_store(session, go)) if meant else set()
    deleted = [summary for summary in meant if summary.conversation_id in gone]
    if as_json:
        write_json({"deleted": _facts(deleted)})
    elif deleted:
        write_out(_names(deleted))
    else:
        note("There was nothing to delete.")
    return 0


def _with_store(session: SessionOptions, work: Callable[[Bridge], Awaitable[_T]]) -> _T:
    """Run an action on the stored conversations; nothing else is opened or requested."""
    settings = settings_for_terminal(session)

    async def run() -> _T:
        async with open_session(settings, session) as bridge:
            return await work(bridge)

    return run_async(run)


def _written(session: SessionOptions, conversation_id: str, *, as_json: bool) -> str:
    async def read(bridge: Bridge) -> str:
        from databricks_responses_mcp.turns import conversation_queries, transcript

        stored = await conversation_queries.read(bridge, conversation_id)
        return f"{transcript.as_json(stored)}\n" if as_json else transcript.as_markdown(stored)

    return _with_store(session, read)


async def _compact(session: SessionOptions, conversation_id: str) -> dict[str, Any]:
    from databricks_responses_mcp.turns import conversation_queries
    from databricks_responses_mcp.turns.call_context import CallContext
    from databricks_responses_mcp.turns.compaction import compact as summed_up

    settings = settings_for_terminal(session)
    async with open_session(settings, session, start_engine=True) as bridge:
        # Before anything is paid for: a wrong id is the most likely mistake.
        await conversation_queries.read(bridge, conversation_id)
        with phases() as shown:
            call = CallContext.start(settings, "conversations", reporter=shown.reporter())
            outcome = await summed_up(bridge, conversation_id, call)
        return conversation_queries.lasting(bridge, outcome.as_dict())


async def _meant(
    conversation_ids: Sequence[str], older_than: float | None, bridge: Bridge
) -> "list[ConversationSummary]":
    """Return the conversations to delete. Every id is looked up before anything is deleted."""
    from databricks_responses_mcp.turns import conversation_queries

    if bool(conversation_ids) == (older_than is not None):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "Deleting requires conversations, or an age.",
            "Give their ids, or --older-than DAYS (0 means all), and not both.",
        )
    if older_than is not None:
        return await conversation_queries.to_delete(bridge, None, older_than)
    return [
        summary
        for conversation_id in dict.fromkeys(conversation_ids)
        for summary in await conversation_queries.to_delete(bridge, conversation_id, None)
    ]


def _agreed(meant: "Sequence[ConversationSummary]") -> bool:
    """Name the conversations to delete, and ask for confirmation.

    Raises:
        BridgeError: ``invalid_argument`` if nobody can be asked.
    """
    count = "this conversation" if len(meant) == 1 else f"these {len(meant)} conversations"
    click.echo(_names(meant), err=True, nl=False)
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "Nothing was deleted: there is no terminal to ask at.",
            f"Add --yes to delete {count}.",
            partial={"conversations": _facts(meant)},
        )
    return click.confirm(f"Delete {count}?", err=True)


def _cells(summary: "ConversationSummary") -> tuple[str, ...]:
    from databricks_responses_mcp.turns.transcript import age_of

    waits = f" [{counted(summary.waiting, 'call')} waiting]" if summary.waiting else ""
    return (
        summary.conversation_id,
        summary.model,
        str(summary.turns),
        str(summary.input_tokens + summary.output_tokens),
        age_of(summary.updated_at),
        f"{summary.title}{waits}",
    )


def _names(summaries: "Sequence[ConversationSummary]") -> str:
    return aligned([(visible(summary.conversation_id), visible(summary.title)) for summary in summaries])


def _facts(summaries: "Sequence[ConversationSummary]") -> list[dict[str, Any]]:
    from databricks_responses_mcp.turns.transcript import facts_of

    return [facts_of(summary) for summary in summaries]
