"""``emulator``: a workspace on this machine, as long as the command runs."""

import errno
import json
import os
import shlex
import sys
from functools import partial

import anyio
import click

from databricks_responses_mcp.cli.advice import terminal_words
from databricks_responses_mcp.cli.help import OWN, SectionedCommand
from databricks_responses_mcp.cli.logs import configure_logging
from databricks_responses_mcp.cli.options import engine_option
from databricks_responses_mcp.cli.printing import note, prepare_streams, write_out
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import Startable
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.switches import Switches

_HELP = """\
Run a simulated workspace on this machine until Ctrl-C, without an account or a key. It implements the Responses API.
It prints its address, its token and the shell commands that make other programs use it.

\b
  databricks-responses-mcp emulator --port 8765 --token secret
  export DATABRICKS_HOST='http://127.0.0.1:8765'
  export DATABRICKS_TOKEN='secret'
  databricks-responses-mcp ask "Hello"

Faults. --fault makes the next model calls fail, one entry for each call. A request can select its own fault with the
header X-Emulator-Fault.

\b
  429      too many requests, retry_after 15   429x2:3      twice, after 3 s
  500      that status, any from 400 on        delay:1.5    wait, then answer
  cut:3    close after 3 events                malformed:2  then bad JSON
  failed:2 response.failed after 2 events      no_terminal  no final event
  slow:5   5 bytes at a time                   drop         close at once
  login    redirect to a sign-in page          html:502     a web page
  garbage  not an event stream                 unknown      unknown events
  a,b      one after the other                 a+b          both at once
"""


@click.command(cls=SectionedCommand, help=_HELP)
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port on 127.0.0.1. Default: any.")
@click.option("--token", metavar="TEXT", help="Token to accept. Default: a new one.")
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help="Fault of the next call; see above.")
@click.option("--moved", is_flag=True, help="Answer 501 to the names databricks-…, as a moved workspace does.")
@click.option("--short-ids", is_flag=True, help="Give items short ids, which clients can send back as received.")
@engine_option(section=OWN)
@click.option("--json", "as_json", is_flag=True, help="Print address, token and process id as one line of JSON.")
def command(
    port: int,
    token: str | None,
    faults: tuple[str, ...],
    moved: bool,
    short_ids: bool,
    engine: str | None,
    as_json: bool,
) -> None:
    """Serve until a signal arrives."""
    prepare_streams()
    configure_logging("WARNING", "text")
    if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
        raise click.BadParameter("it takes letters, digits and signs without spaces.", param_hint="--token")
    # The Supervisor API is a preview, switched on by an option.
    switches = Switches(legacy_names=not moved, supervisor=True, long_ids=not short_ids)
    run_async(partial(_serve, port, token, faults, switches, engine, as_json))


async def _serve(
    port: int, token: str | None, faults: tuple[str, ...], switches: Switches, engine: str | None, as_json: bool
) -> None:
    # Imported here: a web server, which `--help` does not need.
    from databricks_workspace_emulator.engines.choose import choose_engine
    from databricks_workspace_emulator.engines.progress import stderr_progress
    from databricks_workspace_emulator.faults import Faults
    from databricks_workspace_emulator.server import run_emulator

    queue = Faults()
    for fault in faults:
        try:
            queue.add(fault)
        except (ValueError, TypeError) as error:
            raise click.BadParameter(str(error), param_hint="--fault") from error
    with stderr_progress() as progress:
        chosen = choose_engine(engine, progress=progress)
        listening = False
        try:
            async with run_emulator(engine=chosen.engine, port=port, token=token, faults=queue) as running:
                listening = True
                running.state.switches = switches
                write_out(_json_line(running.host, running.token) if as_json else _words(running.host, running.token))
                note(f"{chosen.note} Ctrl-C ends the workspace.")
                if isinstance(chosen.engine, Startable):
                    # Now, so that the first question does not wait for it; other requests are answered meanwhile.
                    await _start(chosen.engine)
                await anyio.sleep_forever()
        except OSError as error:
            if listening:
                raise
            raise _cannot_listen(port, error) from error


async def _start(engine: Startable) -> None:
    try:
        await engine.start()
    except BridgeError as error:
        note(f"The engine does not start; calls will say so. {error.text(terminal_words)}")


def _words(host: str, token: str) -> str:
    if sys.platform == "win32":
        lines = [f"$env:DATABRICKS_HOST = '{host}'", f"$env:DATABRICKS_TOKEN = '{token}'"]
    else:
        lines = [f"export DATABRICKS_HOST='{host}'", f"export DATABRICKS_TOKEN={_quoted(token)}"]
    return "\n".join([f"Address: {host}", f"Token: {token}", "", *lines, ""])


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else shlex.quote(text)


def _json_line(host: str, token: str) -> str:
    return json.dumps({"host": host, "token": token, "pid": os.getpid()}) + "\n"


def _cannot_listen(port: int, error: OSError) -> BridgeError:
    reasons = {
        errno.EADDRINUSE: "another program has it",
        errno.EACCES: "the operating system does not allow it",
    }
    reason = reasons.get(error.errno or 0, error.strerror or "the operating system refused it")
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"The workspace cannot listen on port {port} of 127.0.0.1: {reason}.",
        "Choose another one with --port, or leave it out to use an unused one.",
    )
