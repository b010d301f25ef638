"""``edit``: the tool ``edit_files`` as a command."""

import os
import sys
from functools import partial
from typing import Any

import click

from databricks_responses_mcp.cli.errors import EXIT_CODES, failing_as_json
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import (
    ASKING,
    SessionOptions,
    complete_files,
    json_option,
    session_options,
)
from databricks_responses_mcp.cli.phases import phases
from databricks_responses_mcp.cli.printing import harmless, note, sign, write_json, write_out
from databricks_responses_mcp.cli.prompt import read_prompt
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import forget_what_is_old, open_session, settings_for_terminal
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.settings import Settings

_HELP = """\
Let a model edit text files. The diff goes to stdout, the model's explanation to stderr. Without --apply nothing is
written; with it, all files are written, or none.

INSTRUCTION is the argument, followed by what is piped in. FILES are the files that the model may read and change. New
files are created beside them; --apply creates only new files that --new names.

\b
  databricks-responses-mcp edit "Add type hints." app.py
  databricks-responses-mcp edit "Add type hints." app.py --apply
  databricks-responses-mcp edit "Test it." app.py --new test_app.py --apply
  pytest | databricks-responses-mcp edit "Make this pass." app.py test_app.py
"""
_UNFINISHED = 1


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("instruction")
@click.argument("files", nargs=-1, metavar="[FILE]...", shell_complete=complete_files)
@click.option(
    "--new",
    "new",
    multiple=True,
    metavar="FILE",
    shell_complete=complete_files,
    help="File that the model may create; may be given several times.",
)
@click.option("--apply", is_flag=True, help="Write the changes. Default: only show the diff.")
@click.option(
    "-m", "--model", metavar="NAME", help="Serving endpoint. Default: $RESPONSES_MCP_MODEL, else the newest GPT."
)
@click.option("--conversation", "conversation_id", metavar="ID", help="Continue this conversation.")
@json_option
@session_options((*ASKING, "max_file_bytes"), without=("model",))
def command(session: SessionOptions, instruction: str, as_json: bool, **given: Any) -> int:
    """Edit once; return the exit code."""
    try:
        with failing_as_json(as_json):
            settings = settings_for_terminal(session)
            structured, whole = run_async(partial(_edit, settings, session, read_prompt(instruction), **given))
    except BridgeError as error:
        if not as_json:
            _tell(error.partial, whole=False)
        raise
    if as_json:
        write_json(structured)
    else:
        _tell(structured, whole=whole)
    sign(structured)
    if structured.get("refusal") or structured.get("incomplete_reason") == "content_filter":
        return EXIT_CODES[ErrorCode.CONTENT_FILTERED]
    return 0 if whole else _UNFINISHED


async def _edit(
    settings: Settings,
    session: SessionOptions,
    instruction: str,
    *,
    files: tuple[str, ...],
    new: tuple[str, ...],
    apply: bool,
    model: str | None,
    conversation_id: str | None,
) -> tuple[dict[str, Any], bool]:
    """Return the fields of the result, and whether the model finished without a failed operation.

    Raises:
        BridgeError: for every failure; ``partial`` has the diff so far.
    """
    # Imported here: importing what a turn needs takes a while, and `--help` does not need it.
    from databricks_responses_mcp.calls.file_edits import add_note, edit_on_disk, keep_unwritten, write_edit
    from databricks_responses_mcp.calls.state import write_journal_of
    from databricks_responses_mcp.media.path_policy import EVERYTHING
    from databricks_responses_mcp.turns import conversation_queries
    from databricks_responses_mcp.turns.call_context import CallContext
    from databricks_responses_mcp.turns.patch_session import conclude

    async with open_session(settings, session) as bridge:
        structured: dict[str, Any] = {}
        with keep_unwritten(structured):
            with phases() as shown:
                staging, edited = await edit_on_disk(
                    bridge,
                    CallContext.start(settings, "edit", reporter=shown.reporter()),
                    structured,
                    instruction=instruction,
                    paths=files,
                    new_paths=new,
                    allowed=EVERYTHING,  # named by a person, not by a model
                    journal=write_journal_of(settings),
                    model=model,
                    conversation_id=conversation_id,
                )
            for name in structured.keys() - conversation_queries.lasting(bridge, structured).keys():
                del structured[name]
            unasked = staging.unasked(edited.created) if apply else []
            if unasked:
                add_note(structured, f"Nothing was written: --new does not name these new files: {', '.join(unasked)}.")
                conclude(structured, "not_written")
            elif apply and edited.changed and edited.is_whole:
                await write_edit(staging, edited.after, structured)
            elif apply:
                conclude(structured, "not_written")
        await forget_what_is_old(bridge)
        return structured, edited.is_whole and not unasked


def _tell(structured: dict[str, Any], *, whole: bool) -> None:
    if diff := structured.get("diff"):
        write_out(_coloured(harmless(diff)) if _in_colour() else diff)
    if text := structured.get("text"):
        note(str(text))
    for operation in structured.get("operations", []):
        if problem := operation.get("error"):
            note(f"{operation.get('type')} {operation.get('path')}: {operation.get('status')}. {problem}", fg="red")
    for said in structured.get("notes", []):
        note(f"[{said}]")
    if not diff:
        return
    if structured.get("applied"):
        note(f"Written; paths are relative to {structured['directory']}.", fg="green")
    elif whole:
        exactly = f"`git apply` in {structured['directory']} writes just this; "
        note(f"Nothing is written yet: {exactly}--apply asks the model again, and writes its answer.", fg="yellow")
    else:
        note("Nothing was written: it is not finished, or not to be written like that.", fg="yellow")


def _in_colour() -> bool:
    return sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _coloured(diff: str) -> str:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    lines: list[str] = []
    for line in diff.splitlines(keepends=True):
        body = line.rstrip("\n")
        if body.startswith(("+++", "---", "diff ", "new file", "deleted file")):
            styled = click.style(body, bold=True)
        elif body[:1] in colours:
            styled = click.style(body, fg=colours[body[0]])
        else:
            styled = body
        lines.append(styled + line[len(body) :])
    return "".join(lines)
