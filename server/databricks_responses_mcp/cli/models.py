"""``models``: the tool ``list_databricks_models`` as a command."""

from functools import partial
from typing import TYPE_CHECKING

import click

from databricks_responses_mcp.cli.errors import failing_as_json
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import LISTING, SessionOptions, json_option, session_options
from databricks_responses_mcp.cli.phases import phases
from databricks_responses_mcp.cli.printing import note, write_json, write_out
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import open_session, settings_for_terminal
from databricks_responses_mcp.cli.tables import Column, write_table
from databricks_responses_mcp.workspace.model_profile import CAPABILITIES
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.turns.model_listing import ModelListing

_USE = {"yes": "green", "no": "red", "unknown": "yellow"}
_COLUMNS = (
    Column(heading="Name", style="bold"),
    Column(heading="State", style="yellow", styles={"READY": "green"}, rank=1),
    Column(heading="Kind", rank=5),
    Column(heading="Provider", rank=6),
    Column(heading="Task", rank=7),
    Column(heading="Class", rank=4),
    Column(heading="Surface", rank=3),
    Column(heading="Draws", styles=_USE, rank=2),
    Column(heading="Default", style="cyan"),
)
_SERVER_COLUMNS = (Column(heading="Name", style="bold"), Column(heading="Description"))


@click.command(cls=SectionedCommand, help="List the models of the workspace: how each is reached, and what it can do.")
@click.option("--filter", "name_contains", metavar="TEXT", default="", help="Only models whose name contains TEXT.")
@click.option("--all", "everything", is_flag=True, help="Also list endpoints that return no text, and MCP servers.")
@click.option("--can", metavar="CAPABILITY", type=click.Choice(CAPABILITIES), help="Only models with this capability.")
@json_option
@session_options(LISTING)
def command(session: SessionOptions, name_contains: str, everything: bool, can: str | None, as_json: bool) -> None:
    """List endpoints."""
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        listing = run_async(partial(_list, settings, session, name_contains, can, everything))
    if as_json:
        write_json(listing.as_dict())
        return
    rows = _rows(listing)
    if not rows:
        note("No serving endpoint matches.")
    else:
        write_table(_COLUMNS, rows)
    if listing.mcp_servers:
        write_out("\nMCP servers:\n")
        write_table(_SERVER_COLUMNS, [(name, told or "-") for name, told in listing.mcp_servers.items()])
    for problem in listing.notes:
        note(problem)
    if listing.hidden:
        verb = "is" if listing.hidden == 1 else "are"
        note(f"{listing.hidden} more {verb} not shown; --all shows those that answer with no text, too.")


async def _list(
    settings: Settings, session: SessionOptions, name_contains: str, can: str | None, everything: bool
) -> "ModelListing":
    # Imported here: importing what a listing needs takes a while, and `--help` does not need it.
    from databricks_responses_mcp.turns.model_listing import list_models

    async with open_session(settings, session) as bridge:
        with phases():
            return await list_models(bridge, name_contains, capability=can, everything=everything)


def _rows(listing: "ModelListing") -> list[tuple[str, ...]]:
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
            endpoint.profile.model_class,
            endpoint.profile.surfaces[0],
            endpoint.profile.has("image_generation"),
            ", ".join(uses) or "-",
        )
        rows.append(cells)
    return rows
