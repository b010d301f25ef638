"""``usage``: tokens used by day, model, conversation or tool, and the rest of today's budget."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from databricks_responses_mcp.cli.errors import failing_as_json
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import SessionOptions, json_option, store_options
from databricks_responses_mcp.cli.printing import note, write_json
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import open_session, settings_for_terminal
from databricks_responses_mcp.cli.tables import MAX_BAR_WIDTH, Column, bar, on_terminal, write_table
from databricks_responses_mcp.store.records import Grouping, UsageTotal

if TYPE_CHECKING:
    from databricks_responses_mcp.workspace.settings import Settings

_DEFAULT_DAYS = 30
_MAX_DAYS = 400
_NUMBERS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_HELP = f"""\
Show the tokens used by the servers and commands on this machine, or by all that share the store.

Cached tokens are part of the input; reasoning tokens are part of the output. Days are in UTC. The numbers are kept for
{_MAX_DAYS} days, also when their conversations are deleted.
"""


@click.command(cls=SectionedCommand, help=_HELP)
@click.option(
    "--by",
    type=click.Choice(list(get_args(Grouping))),
    default="day",
    help="Group by day, model, conversation, or tool (or command). Default: day.",
)
@click.option(
    "--days",
    type=click.IntRange(1, _MAX_DAYS),
    default=_DEFAULT_DAYS,
    metavar="N",
    help=f"The last N days, today included, up to {_MAX_DAYS}. Default: {_DEFAULT_DAYS}.",
)
@json_option
@store_options("daily_token_budget")
def command(session: SessionOptions, by: Grouping, days: int, as_json: bool) -> None:
    """Show usage."""
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        totals, today = run_async(lambda: _read(settings, session, by, days))
    budget = settings.daily_token_budget
    if as_json:
        write_json(
            {
                "by": by,
                "days": days,
                "groups": [{by: total.key, **_numbers(total)} for total in totals],
                "total": {name: sum(getattr(total, name) for total in totals) for name in _NUMBERS},
                "today": {"tokens": today, **({} if budget is None else _budget(budget, today))},
            }
        )
        return
    if totals:
        _table(by, totals)
    else:
        note(f"Nothing was spent in the last {days} days." if days > 1 else "Nothing was spent today.")
    if budget is not None:
        left = _budget(budget, today)["left"]
        shown = (
            f" {bar(today / budget if budget else 1.0, MAX_BAR_WIDTH):░<{MAX_BAR_WIDTH}}" if sys.stderr.isatty() else ""
        )
        note(f"Today:{shown} {today:,} of {budget:,} tokens are spent, {left:,} are left until midnight UTC.")


async def _read(settings: "Settings", session: SessionOptions, by: Grouping, days: int) -> tuple[list[UsageTotal], int]:
    from databricks_responses_mcp.turns import conversation_queries

    async with open_session(settings, session) as bridge:
        return await conversation_queries.usage(bridge, by, days=days), await conversation_queries.tokens_today(bridge)


def _table(by: Grouping, totals: Sequence[UsageTotal]) -> None:
    columns = [
        Column(heading=by.capitalize(), style="bold"),
        Column(heading="Requests", numbers=True, rank=2),
        Column(heading="Input", numbers=True, rank=1),
        Column(heading="Cached", style="dim", numbers=True, rank=3),
        Column(heading="Output", numbers=True, rank=1),
        Column(heading="Reasoning", style="dim", numbers=True, rank=4),
        Column(heading="Tokens", numbers=True),
    ]
    rows = [[total.key or "(none)", *_cells(total)] for total in totals]
    whole = UsageTotal(
        key="total",
        requests=sum(total.requests for total in totals),
        input_tokens=sum(total.input_tokens for total in totals),
        output_tokens=sum(total.output_tokens for total in totals),
        cached_tokens=sum(total.cached_tokens for total in totals),
        reasoning_tokens=sum(total.reasoning_tokens for total in totals),
    )
    last = [whole.key, *_cells(whole)]
    most = max(map(_tokens, totals)) or 1
    write_table(columns, rows, total=last, shares=[_tokens(total) / most for total in totals])


def _cells(total: UsageTotal) -> list[str]:
    # People read digits in groups; scripts do not.
    shown = "{:,}" if on_terminal() else "{}"
    numbers = (
        total.requests,
        total.input_tokens,
        total.cached_tokens,
        total.output_tokens,
        total.reasoning_tokens,
        _tokens(total),
    )
    return [shown.format(number) for number in numbers]


def _tokens(total: UsageTotal) -> int:
    return total.input_tokens + total.output_tokens


def _numbers(total: UsageTotal) -> dict[str, int]:
    return {name: getattr(total, name) for name in _NUMBERS}


def _budget(budget: int, today: int) -> dict[str, Any]:
    from databricks_responses_mcp.turns.transcript import moment
    from databricks_responses_mcp.turns.usage import DAY, midnight

    return {"budget": budget, "left": max(budget - today, 0), "until": moment(midnight() + DAY)}
