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
from databricks_responses_mcp.cli.printing import AnswerPrinter, note, write_json
from databricks_responses_mcp.cli.prompt import read_prompt
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import open_session, settings_for_terminal
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
"""


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("prompt", required=False)
@click.option(
    "-m", "--model", metavar="NAME", help="Serving endpoint. Default: $RESPONSES_MCP_MODEL, else the newest GPT."
)
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
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        facts, extras = run_async(partial(_ask, settings, session, read_prompt(prompt), as_json, **given))
    if as_json:
        write_json(facts)
    _tell(facts, extras)
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
    **given: Any,
) -> tuple[dict[str, Any], str]:
    """The result contract's fields, and what a reader of the text alone would miss."""
    # Imported here: what the tools need takes a while to import, and `--help` does not.
    from databricks_responses_mcp.tools.prompting import image_urls, prompt_with_files
    from databricks_responses_mcp.tools.results import words
    from databricks_responses_mcp.tools.state import App
    from databricks_responses_mcp.tools.taking import PictureTaker
    from databricks_responses_mcp.turns.ask import Question

    # No thumbnails: there is no host to show them. And any file may be named: a person does so, not a model.
    settings = settings.model_copy(update={"inline_image_bytes": 0, "allowed_dirs": "*"})
    async with open_session(settings, session, start_engine=True) as bridge:
        app = App(bridge)
        taker = PictureTaker(app, prompt)
        question = Question(
            prompt=await prompt_with_files(app, prompt, files),
            images=await image_urls(app, images),
            extra=extra or {},
            **given,
        )
        with phases() as shown:
            facts = await _answer(app, question, taker, shown, as_json=as_json)
        extras = words({**facts, "text": ""}, taker.lead())
        return facts, "" if facts.get("text") and extras == words({"text": ""}, "") else extras


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


def _tell(facts: dict[str, Any], extras: str) -> None:
    if extras:
        note(extras)
    model, endpoint = facts.get("model", ""), facts.get("endpoint", "")
    who = model if model == endpoint else f"{model} as {endpoint}"
    note(f"({', '.join([who, *_usage(facts.get('usage') or {})])})")


def _usage(usage: dict[str, Any]) -> list[str]:
    parts = [
        f"{usage[key]} tokens {word}"
        for key, word in (("input_tokens", "in"), ("output_tokens", "out"))
        if key in usage
    ]
    details = usage.get("output_tokens_details")
    if parts and isinstance(details, dict) and details.get("reasoning_tokens"):
        parts[-1] += f" ({details['reasoning_tokens']} of them reasoning)"
    return parts
