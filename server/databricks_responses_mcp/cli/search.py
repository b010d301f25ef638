"""``search``: the tool ``search_web`` as a command."""

import sys
from functools import partial
from typing import Any

import click

from databricks_responses_mcp.cli.advice import terminal_words
from databricks_responses_mcp.cli.errors import EXIT_CODES, failing_as_json
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import ASKING, SessionOptions, json_option, session_options
from databricks_responses_mcp.cli.phases import phases
from databricks_responses_mcp.cli.printing import note, sign, write_json, write_out
from databricks_responses_mcp.cli.prompt import read_prompt
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import forget_what_is_old, open_session, settings_for_terminal
from databricks_responses_mcp.cli.wrapping import wrapped
from databricks_responses_mcp.errors import ErrorCode
from databricks_responses_mcp.workspace.settings import Settings

_HELP = """\
Search the web with a model of the workspace. The answer and its numbered sources go to stdout, the model's name to
stderr. QUESTION is the argument, followed by what is piped in.

\b
  databricks-responses-mcp search "What is new in Apache Spark?"
  databricks-responses-mcp search "Photon limits" --domain docs.databricks.com
"""


_MADE_UP = "The embedded workspace does not search the web: its results are invented."


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("question", required=False)
@click.option(
    "-m", "--model", metavar="NAME", help="Serving endpoint. Default: $RESPONSES_MCP_MODEL, else the newest GPT."
)
@click.option(
    "--domain", "domains", multiple=True, metavar="NAME", help="Search only this domain; may be given several times."
)
@click.option(
    "--context-size",
    type=click.Choice(["low", "medium", "high"]),
    help="How much of what is found the model reads. Default: medium.",
)
@click.option("--conversation", "conversation_id", metavar="ID", help="Continue this conversation.")
@json_option
@session_options(ASKING, without=("model",))
def command(session: SessionOptions, question: str | None, as_json: bool, **given: Any) -> int:
    """Search once; return the exit code."""
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        structured = run_async(partial(_search, settings, session, read_prompt(question), **given))
    if as_json:
        write_json(structured)
    else:
        _tell(structured)
    sign(structured)
    declined = structured.get("refusal") or structured.get("incomplete_reason") == "content_filter"
    return EXIT_CODES[ErrorCode.CONTENT_FILTERED] if declined else 0


async def _search(
    settings: Settings,
    session: SessionOptions,
    question: str,
    *,
    model: str | None,
    domains: tuple[str, ...],
    context_size: str | None,
    conversation_id: str | None,
) -> dict[str, Any]:
    """Return the fields of the result."""
    # Imported here: importing what a turn needs takes a while, and `--help` does not need it.
    from databricks_responses_mcp.calls.search_service import SearchService
    from databricks_responses_mcp.turns import conversation_queries
    from databricks_responses_mcp.turns.call_context import CallContext
    from databricks_responses_mcp.turns.search import Search, search

    wanted = Search(
        question=question,
        model=model,
        allowed_domains=domains,
        context_size=context_size,
        conversation_id=conversation_id,
    )
    # The engine is not started: the embedded workspace invents search results without it.
    async with open_session(settings, session, announced=_MADE_UP) as bridge:
        with phases() as shown:
            call = CallContext.start(settings, "search", reporter=shown.reporter())
            found = await search(bridge, wanted, call, server=SearchService(bridge))
        structured = conversation_queries.lasting(bridge, found.structured())
        await forget_what_is_old(bridge)
        return structured


def _tell(structured: dict[str, Any]) -> None:
    from databricks_responses_mcp.calls.results import render_text

    text = str(structured.get("text", ""))
    sources = _sources(structured)
    answer = "\n\n".join(part for part in (text, sources) if part)
    if answer:
        write_out(wrapped(f"{answer}\n", sys.stdout))
    hidden = ("citations", "output", "sources")
    shown = {key: value for key, value in structured.items() if key not in hidden}
    rest = render_text(shown, "", terminal_words).removeprefix(text).strip("\n")
    if rest:
        note(rest)


def _sources(structured: dict[str, Any]) -> str:
    """Return the sources that the answer's marks name, one in each line."""
    lines: dict[str, None] = {}
    for citation in structured.get("citations", []):
        title = f"{citation['title']}: " if citation.get("title") else ""
        lines[f"[{citation['number']}] {title}{citation['url']}"] = None
    return "\n".join(["Sources:", *lines]) if lines else ""
