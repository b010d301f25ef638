"""``ask``: the tool ``ask_databricks_model`` as a command."""

import json
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import click

from databricks_responses_mcp.cli.advice import terminal_words
from databricks_responses_mcp.cli.errors import EXIT_CODES, failing_as_json
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import (
    ASKING,
    READING,
    FiniteRange,
    SessionOptions,
    complete_files,
    images_option,
    json_object,
    json_option,
    schema_value,
    session_options,
    tool_values,
)
from databricks_responses_mcp.cli.phases import Phases, phases
from databricks_responses_mcp.cli.printing import AnswerPrinter, counted, note, sign, write_json
from databricks_responses_mcp.cli.prompt import read_prompt
from databricks_responses_mcp.cli.running import INTERRUPTED as INTERRUPTED_CODE
from databricks_responses_mcp.cli.running import StoppedError, run_async
from databricks_responses_mcp.cli.session import forget_what_is_old, open_session, settings_for_terminal
from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.turns.outcome import INTERRUPTED
from databricks_responses_mcp.workspace.settings import Settings

_HELP = """\
Ask a model. Only the answer goes to stdout, streamed; the model's name, sources and notes go to stderr.

PROMPT is the argument, followed by what is piped in. With `-`, only what is piped in is used.

\b
  databricks-responses-mcp ask --embedded "What is a lakehouse?"
  git diff | databricks-responses-mcp ask "Write a commit message."
  databricks-responses-mcp ask "What is wrong?" -f app.py:1-40 -i screen.png
  databricks-responses-mcp ask --continue "And in French?"
  databricks-responses-mcp ask "Name three colours." --schema colours.json

Ctrl-C ends the answer early and keeps what has arrived; --continue continues from there.
"""

_FINAL_OUTPUT_SECONDS = 2.0
"""How long after Ctrl-C the reader of stdout may take to read the rest."""


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("prompt", required=False)
@click.option(
    "-m", "--model", metavar="NAME", help="Serving endpoint. Default: $RESPONSES_MCP_MODEL, else the newest GPT."
)
@click.option("--conversation", "conversation_id", metavar="ID", help="Continue this conversation.")
@click.option("--continue", "go_on", is_flag=True, help="Continue the newest conversation.")
@click.option("--instructions", metavar="TEXT", help="System instructions.")
@images_option("Image to show to the model")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    shell_complete=complete_files,
    metavar="PATH[:FROM-TO]",
    help="File to give to the model: text, or some of its lines; PDF, office document, recording, video. May be given "
    "several times.",
)
@click.option(
    "--reasoning-effort",
    metavar="EFFORT",
    help="none, minimal, low, medium, high, xhigh or max; models differ. Default: the model's.",
)
@click.option("--verbosity", metavar="LEVEL", help="low, medium or high. Default: the model's.")
@click.option(
    "--max-output-tokens", type=click.IntRange(min=1), metavar="N", help="Limit for the answer, reasoning included."
)
@click.option(
    "--temperature", type=FiniteRange(0, 2), metavar="T", help="0 to 2; reasoning models refuse it. Default: not sent."
)
@click.option("--top-p", type=FiniteRange(0, 1), metavar="P", help="0 to 1. Default: not sent.")
@click.option(
    "--schema",
    "output_schema",
    callback=schema_value,
    shell_complete=complete_files,
    metavar="FILE|JSON",
    help="JSON Schema that the answer must match: a file, or the schema itself.",
)
@click.option(
    "--tool",
    "tools",
    multiple=True,
    callback=tool_values,
    shell_complete=complete_files,
    metavar="NAME|FILE|JSON",
    help="Tool that the model may use: web_search, image_generation, apply_patch or shell; or definitions of the "
    "Responses API, one or a list, as JSON or in a file. May be given several times.",
)
@click.option(
    "--mcp-server",
    "mcp_servers",
    multiple=True,
    metavar="NAME",
    help="MCP server of RESPONSES_MCP_MCP_SERVERS or of the workspace whose tools the model may use; may be given "
    "several times.",
)
@click.option("--extra", callback=json_object, metavar="JSON", help="Any other Responses API parameters, as an object.")
@json_option
@session_options((*ASKING, *READING, "image_dir", "mcp_servers"), without=("model", "max_output_tokens", "mcp_servers"))
def command(session: SessionOptions, prompt: str | None, as_json: bool, **given: Any) -> int:
    """Ask once; return the exit code."""
    if given["go_on"] and given["conversation_id"] is not None:
        raise click.UsageError("--continue means the newest conversation, --conversation another: give one.")
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        structured, extras = run_async(partial(_ask, settings, session, read_prompt(prompt), as_json, **given))
    if as_json:
        write_json(structured)
    if extras:
        note(extras)
    sign(structured)
    if structured.get("incomplete_reason") == INTERRUPTED:
        return INTERRUPTED_CODE
    declined = structured.get("refusal") or structured.get("incomplete_reason") == "content_filter"
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
    """Return the fields of the result, and notes for a reader who sees only the text."""
    # Imported here: importing what the tools need takes a while, and `--help` does not need it.
    from databricks_responses_mcp.calls.generated_images import GeneratedImages
    from databricks_responses_mcp.calls.inputs import image_urls, prompt_with_files
    from databricks_responses_mcp.calls.state import App
    from databricks_responses_mcp.turns import conversation_queries
    from databricks_responses_mcp.turns.ask import AskRequest

    # No thumbnails: there is no host to show them. And any file may be named: the caller is a person, not a model.
    settings = settings.model_copy(update={"inline_image_bytes": 0, "allowed_dirs": "*", "allow_secret_files": True})
    async with open_session(settings, session, start_engine=True) as bridge:
        app = App(bridge)
        if go_on:
            conversation_id = await conversation_queries.newest(bridge)
        taker = GeneratedImages(app, prompt, is_free=True)
        text, attachments = await prompt_with_files(app, prompt, files)
        question = AskRequest(
            prompt=text,
            files=attachments,
            images=await image_urls(app, images),
            extra=extra or {},
            conversation_id=conversation_id,
            **given,
        )
        with phases() as shown:
            structured = await _interruptible(partial(_answer, app, question, taker, shown, as_json=as_json))
        structured = conversation_queries.lasting(bridge, structured)
        await forget_what_is_old(bridge)
        return structured, "\n\n".join(part for part in (taker.preamble(), *_beside_the_text(structured)) if part)


def _beside_the_text(structured: dict[str, Any]) -> list[str]:
    """Return notes for a reader who sees only the text, in the terms of a terminal."""
    from databricks_responses_mcp.calls.results import render_text

    text = str(structured.get("text", ""))
    calls = structured.get("pending_calls", [])
    interrupted = structured.get("incomplete_reason") == INTERRUPTED
    hidden = ("pending_calls", *(("status",) if interrupted else ()))
    rest = render_text({key: value for key, value in structured.items() if key not in hidden}, "", terminal_words)
    parts = [] if calls and not text else [rest.removeprefix(text).strip("\n")]
    if calls:
        parts.append(_calls_in_words(calls, structured))
    if interrupted:
        parts.append(_interruption_in_words(structured))
    return parts


def _calls_in_words(calls: list[dict[str, Any]], structured: dict[str, Any]) -> str:
    shown = [{key: value for key, value in call.items() if key != "answer_with"} for call in calls]
    waits = "this call" if len(calls) == 1 else f"these {len(calls)} calls"
    conversation_id = structured.get("conversation_id")
    how = (
        terminal_words(Advice(Action.CONTINUE_CALL, conversation_id))
        if conversation_id
        else "Commands do not answer calls, and the conversation is not stored."
    )
    lines = [f"- {json.dumps(call, ensure_ascii=False)}" for call in shown]
    return "\n".join([f"[The model waits for the output of {waits}]", *lines, how])


def _interruption_in_words(structured: dict[str, Any]) -> str:
    is_kept = "conversation_id" in structured
    kept = "--continue continues from here." if is_kept else "The turn is not stored: the store is off."
    if "usage" in structured:
        return f"[Interrupted] {kept}"
    # The API's own estimate: four characters for each token.
    received = max(1, len(str(structured.get("text", ""))) // 4)
    return (
        f"[Interrupted] {kept} What it cost is not known, because the workspace reports that at the end of an answer; "
        f"about {counted(received, 'token')} of the answer arrived."
    )


async def _interruptible(work: Callable[[anyio.Event, anyio.Event], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Run ``work``; Ctrl-C stops the answer, or the command if no text has arrived, or when pressed a second time.

    Args:
        work: receives an event that stops the answer once it is set, and one to set when the first text arrives.
    """
    stop, spoken = anyio.Event(), anyio.Event()
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return await work(stop, spoken)  # signals cannot be received here: Ctrl-C ends the command
    results: list[dict[str, Any]] = []
    aborted = False

    async def watch(scope: anyio.CancelScope) -> None:
        nonlocal aborted
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                if stop.is_set() or not spoken.is_set():
                    aborted = True
                    scope.cancel()
                stop.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        results.append(await work(stop, spoken))
        tasks.cancel_scope.cancel()
    if not results or aborted:
        note("Interrupted before any text arrived; the question is not stored.")
        raise StoppedError
    return results[0]


async def _answer(
    app: Any,
    question: Any,
    taker: Any,
    shown: Phases,
    stop: anyio.Event,
    spoken: anyio.Event,
    *,
    as_json: bool,
) -> dict[str, Any]:
    from databricks_responses_mcp.turns.ask import ask
    from databricks_responses_mcp.turns.call_context import CallContext

    reporter = shown.reporter()
    # On a terminal the answer replaces the progress line; if stdout is a file, the line stays.
    printer = AnswerPrinter(shown.clear if sys.stdout is not None and sys.stdout.isatty() else lambda: None)

    def take(piece: str) -> None:
        spoken.set()
        if not as_json:
            printer.take(piece)

    failure: BridgeError | None = None
    structured: dict[str, Any] = {}
    same = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(printer.run)
        try:
            call = CallContext.start(
                app.bridge.settings, "ask", reporter=reporter, on_text=take, take_image=taker, stop=stop
            )
            outcome = await ask(app.bridge, question, call)
            structured = taker.extend(outcome.as_dict())
        except BridgeError as error:
            failure = taker.attach(error)
            structured = failure.partial
        if not as_json:
            # After Ctrl-C the reader of stdout may have ended.
            with anyio.move_on_after(_FINAL_OUTPUT_SECONDS if stop.is_set() else None) as scope:
                same = await printer.finish(str(structured.get("text", "")))
            if scope.cancelled_caught:
                raise StoppedError
        tasks.cancel_scope.cancel()
    shown.clear()
    if not same:
        told = "The final text differs from what was streamed here; --json has the final one."
        structured["notes"] = [*structured.get("notes", []), told]
    if failure is not None:
        raise failure
    return structured
