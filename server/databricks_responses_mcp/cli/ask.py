"""``ask``: what the tool ``ask_databricks_model`` does, from a terminal."""

import sys
from functools import partial
from typing import Any

import anyio
import click

from databricks_responses_mcp.cli.failing import EXIT_CODES, failing_as_json
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import FiniteRange, SessionOptions, json_object, json_option, session_options
from databricks_responses_mcp.cli.phases import Phases, phases
from databricks_responses_mcp.cli.printing import AnswerPrinter, note, sign, write_json
from databricks_responses_mcp.cli.prompt import read_prompt
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import forget_what_is_old, open_session, settings_for_terminal
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.settings import Settings

_HELP = """\
Ask a model. The answer, and nothing else, goes to stdout as it is written; who answered, sources and notes go to
stderr.

PROMPT is taken from the argument; what is piped in comes after it. `-` takes what is piped in alone.

\b
  databricks-responses-mcp ask --embedded "What is a lakehouse?"
  git diff | databricks-responses-mcp ask "Write a commit message."
  databricks-responses-mcp ask "What is wrong?" -f app.py:1-40 -i screen.png
  databricks-responses-mcp ask --continue "And in French?"
"""


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("prompt", required=False)
@click.option(
    "-m", "--model", metavar="NAME", help="Serving endpoint. Default: $RESPONSES_MCP_MODEL, else the newest GPT."
)
@click.option("--conversation", "conversation_id", metavar="ID", help="Go on with this conversation.")
@click.option("--continue", "go_on", is_flag=True, help="Go on with the newest conversation.")
@click.option("--instructions", metavar="TEXT", help="System instructions.")
@click.option(
    "-i", "--image", "images", multiple=True, metavar="PATH|URL", help="Image to show; may be given several times."
)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="PATH[:FROM-TO]",
    help="Text file to put in the prompt, or these lines of it; may be given several times.",
)
@click.option(
    "--reasoning-effort",
    metavar="EFFORT",
    help="none, minimal, low, medium, high, xhigh or max; models differ. Default: the model's.",
)
@click.option("--verbosity", metavar="LEVEL", help="low, medium or high. Default: the model's.")
@click.option(
    "--max-output-tokens", type=click.IntRange(min=1), metavar="N", help="Most tokens to write, reasoning included."
)
@click.option(
    "--temperature", type=FiniteRange(0, 2), metavar="T", help="0 to 2; reasoning models refuse it. Default: not sent."
)
@click.option("--top-p", type=FiniteRange(0, 1), metavar="P", help="0 to 1. Default: not sent.")
@click.option("--extra", callback=json_object, metavar="JSON", help="Any other Responses API parameters, as an object.")
@json_option
@session_options(without=("model", "max_output_tokens"))
def command(session: SessionOptions, prompt: str | None, as_json: bool, **given: Any) -> int:
    """Ask once; the exit code says how it went."""
    if given["go_on"] and given["conversation_id"] is not None:
        raise click.UsageError("--continue means the newest conversation, --conversation another: give one.")
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        facts, extras = run_async(partial(_ask, settings, session, read_prompt(prompt), as_json, **given))
    if as_json:
        write_json(facts)
    if extras:
        note(extras)
    sign(facts)
    declined = facts.get("refusal") or facts.get("incomplete_reason") == "content_filter"
    return EXIT_CODES[ErrorCode.CONTENT_FILTERED] if declined else 0


async def _ask(
    settings: Settings,
    session: SessionOptions,
    prompt: str,
    as_json: bool,
    *,
    files: Any,
    images: Any,
    extra: Any,
    go_on: bool,
    conversation_id: str | None,
    **given: Any,
) -> tuple[dict[str, Any], str]:
    """The result contract's fields, and what a reader of the text alone would miss."""
    # Imported here: what the tools need takes a while to import, and `--help` does not.
    from databricks_responses_mcp.tools.prompting import image_urls, prompt_with_files
    from databricks_responses_mcp.tools.results import words
    from databricks_responses_mcp.tools.state import App
    from databricks_responses_mcp.tools.taking import PictureTaker
    from databricks_responses_mcp.turns import archive
    from databricks_responses_mcp.turns.ask import Question
    from databricks_responses_mcp.turns.paying import spent_for

    spent_for.set("ask")
    # No thumbnails: there is no host to show them. And any file may be named: a person does so, not a model.
    settings = settings.model_copy(update={"inline_image_bytes": 0, "allowed_dirs": "*", "allow_secret_files": True})
    async with open_session(settings, session, start_engine=True) as bridge:
        app = App(bridge)
        if go_on:
            conversation_id = await archive.newest(bridge)
        taker = PictureTaker(app, prompt, is_free=True)
        question = Question(
            prompt=await prompt_with_files(app, prompt, files),
            images=await image_urls(app, images),
            extra=extra or {},
            conversation_id=conversation_id,
            **given,
        )
        with phases() as shown:
            facts = await _answer(app, question, taker, shown, as_json=as_json)
        facts = archive.lasting(bridge, facts)
        await forget_what_is_old(bridge)
        lead, text = taker.lead(), str(facts.get("text", ""))
        if not text:
            return facts, words(facts, lead)
        rest = words(facts, "").removeprefix(text).strip("\n")
        return facts, "\n\n".join(part for part in (lead, rest) if part)


async def _answer(app: Any, question: Any, taker: Any, shown: Phases, *, as_json: bool) -> dict[str, Any]:
    from databricks_responses_mcp.turns.ask import ask

    reporter = shown.reporter()
    if as_json:
        outcome = await ask(app.bridge, question, reporter=reporter, take_picture=taker)
        facts: dict[str, Any] = taker.extend(outcome.as_dict())
        return facts
    # On a screen the line makes place for the answer; beside a file it goes on telling how far that is.
    printer = AnswerPrinter(shown.clear if sys.stdout is not None and sys.stdout.isatty() else lambda: None)
    failure: BridgeError | None = None
    facts = {}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(printer.run)
        try:
            outcome = await ask(app.bridge, question, reporter=reporter, on_text=printer.take, take_picture=taker)
            facts = taker.extend(outcome.as_dict())
        except BridgeError as error:
            failure = taker.attach(error)
            facts = failure.partial
        same = await printer.finish(str(facts.get("text", "")))
        tasks.cancel_scope.cancel()
    shown.clear()
    if not same:
        told = "The final text differs from what was streamed here; --json has the final one."
        facts["notes"] = [*facts.get("notes", []), told]
    if failure is not None:
        raise failure
    return facts
