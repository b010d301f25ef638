"""The commands, each imported when it is called for."""

import importlib
import sys
from collections.abc import Sequence

import click

from databricks_responses_mcp import __version__
from databricks_responses_mcp.errors import BridgeError, ErrorCode

COMMANDS = {
    "serve": "Serve MCP over stdio (the default), or over HTTP.",
    "ask": "Ask a model; the answer goes to stdout.",
    "image": "Draw a picture; its path goes to stdout.",
    "models": "List the workspace's serving endpoints.",
    "doctor": "Check settings, host, sign-in and a call, and say what to fix.",
    "emulator": "Run a workspace on this machine: no account, no key.",
}

EXIT_CODES = {
    ErrorCode.INVALID_ARGUMENT: 2,
    ErrorCode.NOT_CONFIGURED: 3,
    ErrorCode.UNAUTHENTICATED: 4,
    ErrorCode.PERMISSION_DENIED: 4,
    ErrorCode.MODEL_NOT_FOUND: 5,
    ErrorCode.NOT_FOUND: 5,
    ErrorCode.UNSUPPORTED_BY_MODEL: 5,
    ErrorCode.CONTENT_FILTERED: 6,
    ErrorCode.TOO_LARGE: 2,
    ErrorCode.RATE_LIMITED: 7,
    ErrorCode.BUDGET_EXCEEDED: 7,
    ErrorCode.UPSTREAM_UNAVAILABLE: 8,
    ErrorCode.UPSTREAM_ERROR: 8,
    ErrorCode.TIMEOUT: 9,
    ErrorCode.CANCELLED: 130,
    ErrorCode.INTERNAL: 1,
}
"""What a failed command exits with."""

_EPILOG = """\
Exit codes: 0 done; 1 defect; 2 wrong argument or setting; 3 not configured; 4 not signed in or not allowed; 5 no such
model, or it cannot do that; 6 content filter; 7 rate limit or budget; 8 workspace unreachable or failing; 9 out of
time; 130 interrupted."""


class _Commands(click.Group):
    """Commands by name, imported only when they run or their own help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"databricks_responses_mcp.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Commands,
    help="Use the models of a Databricks workspace through the OpenAI Responses API, as an MCP server or from here.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, prog_name="databricks-responses-mcp")
def commands() -> None:
    """The group that all commands hang in."""


def _fail(error: BridgeError) -> int:
    click.echo(f"{error.code.value}: {error}", err=True)
    return EXIT_CODES[error.code]


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def run(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    arguments = list(argv)
    # Hosts start the server with no command, or with nothing but its options.
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments.insert(0, "serve")
    try:
        result = commands.main(args=arguments, prog_name="databricks-responses-mcp", standalone_mode=False)
    except BridgeError as error:
        return _fail(error)
    except BaseExceptionGroup as group:
        # Task groups wrap what leaves them; a command fails for one reason.
        leaf = _first(group)
        if isinstance(leaf, BridgeError):
            return _fail(leaf)
        if isinstance(leaf, KeyboardInterrupt):
            return 130
        raise
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    return result if isinstance(result, int) else 0
