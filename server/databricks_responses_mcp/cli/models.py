"""``models``: what the tool ``list_databricks_models`` does, as a table."""

from functools import partial
from typing import TYPE_CHECKING

import click

from databricks_responses_mcp.cli.failing import failing_as_json
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import SessionOptions, json_option, session_options
from databricks_responses_mcp.cli.phases import phases
from databricks_responses_mcp.cli.printing import harmless, note, write_json, write_out
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import open_session, settings_for_terminal
from databricks_responses_mcp.cli.tables import aligned, on_terminal
from databricks_responses_mcp.workspace.classifying import CAPABILITIES
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.tools.listing import Listing

_HEADINGS = ("NAME", "STATE", "KIND", "PROVIDER", "TASK", "CLASS", "SURFACE", "DRAWS", "DEFAULT")
_DISPENSABLE = tuple(_HEADINGS.index(name) for name in ("TASK", "PROVIDER", "KIND", "CLASS"))


@click.command(cls=SectionedCommand, help="List the models of the workspace: how each is reached, and what it can do.")
@click.option("--filter", "name_contains", metavar="TEXT", default="", help="Only those whose name contains it.")
@click.option("--all", "everything", is_flag=True, help="Endpoints that answer with no text, too.")
@click.option("--can", metavar="CAPABILITY", type=click.Choice(CAPABILITIES), help="Only those that can do it.")
@json_option
@session_options()
def command(session: SessionOptions, name_contains: str, everything: bool, can: str | None, as_json: bool) -> None:
    """List endpoints."""
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        listing = run_async(partial(_list, settings, session, name_contains, can, everything))
    if as_json:
        write_json(listing.facts())
        return
    rows = _rows(listing)
    if not rows:
        note("No serving endpoint matches.")
    elif on_terminal():
        _table(rows)
    else:
        write_out(aligned([_HEADINGS, *rows]))
    if listing.hidden:
        note(f"{listing.hidden} more are not shown; --all shows those that answer with no text, too.")


async def _list(
    settings: Settings, session: SessionOptions, name_contains: str, can: str | None, everything: bool
) -> "Listing":
    # Imported here: what the tools need takes a while to import, and `--help` does not.
    from databricks_responses_mcp.tools.listing import list_models

    async with open_session(settings, session) as bridge:
        with phases():
            return await list_models(bridge, name_contains, capability=can, everything=everything)


def _rows(listing: "Listing") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for endpoint in listing.endpoints:
        uses = [
            use
            for use, name in (("ask", listing.default_model), ("image", listing.default_image_model))
            if name == endpoint.name
        ]
        cells = (
            endpoint.name,
            endpoint.state,
            endpoint.kind.replace("_", " "),
            endpoint.provider or "-",
            endpoint.task or "-",
            endpoint.judged.model_class,
            endpoint.judged.surfaces[0],
            endpoint.can_generate_images,
            ", ".join(uses) or "-",
        )
        rows.append(tuple(harmless(cell) for cell in cells))
    return rows


def _table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    shown = _that_fit(rows, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in shown:
        table.add_column(_HEADINGS[column].capitalize(), overflow="fold")
    colours = {"yes": "green", "no": "red", "unknown": "yellow"}
    for row in rows:
        ready = "green" if row[1] == "READY" else "yellow"
        styles = ("bold", ready, "", "", "", "", "", colours.get(row[7], ""), "cyan")
        table.add_row(*(Text(row[column], styles[column]) for column in shown))
    console.print(table)


def _that_fit(rows: list[tuple[str, ...]], width: int) -> list[int]:
    """The columns that a terminal has room for: task, provider and kind go first."""
    widths = [max(map(len, column)) + 2 for column in zip(_HEADINGS, *rows, strict=True)]
    shown = list(range(len(_HEADINGS)))
    for column in _DISPENSABLE:
        if sum(widths[index] for index in shown) > width:
            shown.remove(column)
    return shown
