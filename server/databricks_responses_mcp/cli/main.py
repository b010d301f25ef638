"""The commands, each imported when it is used."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from databricks_responses_mcp import __version__
from databricks_responses_mcp.cli.errors import exit_code_of
from databricks_responses_mcp.cli.help import EXIT_CODES_HELP, NamingContext
from databricks_responses_mcp.cli.redacted_streams import redacted_streams
from databricks_responses_mcp.cli.sdk_patches import defer_wire_models, import_without_web
from databricks_responses_mcp.workspace.secret_values import SecretValues

COMMANDS = {
    "serve": "Serve MCP over stdio (the default), or over HTTP.",
    "ask": "Ask a model; the answer goes to stdout.",
    "search": "Search the web; answer and sources go to stdout.",
    "edit": "Let a model edit files; the diff goes to stdout.",
    "image": "Generate images; their paths go to stdout.",
    "models": "List the workspace's serving endpoints.",
    "conversations": "List, show, export, compact or delete stored conversations.",
    "usage": "Show the tokens used, and the rest of today's budget.",
    "doctor": "Check settings, host, sign-in and a call, and say what to fix.",
    "install": "Register the server with MCP hosts on this machine.",
    "keys": "Manage the static keys that clients of a service may sign in with.",
    "emulator": "Run a simulated workspace on this machine: no account, no key.",
}


_OF_THE_GROUP = ("-h", "--help", "-V", "--version")
_COMPLETION = "_DATABRICKS_RESPONSES_MCP_COMPLETE"
"""The variable by which a shell requests completion; click derives its name from the program's."""


class _Commands(click.Group):
    """Commands by name, imported only when they run or their own help is shown."""

    context_class = NamingContext

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
    help="Use the models of a Databricks workspace through the OpenAI Responses API, over MCP or on the command line.",
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, "-V", "--version", prog_name="databricks-responses-mcp")
def commands() -> None:
    """The group of all commands."""


def run(argv: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    arguments = list(argv)
    # Hosts start the server without a command, or only with its options.
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in _OF_THE_GROUP):
        arguments.insert(0, "serve")
    if not argv and sys.stdin is not None and sys.stdin.isatty() and _COMPLETION not in os.environ:
        click.echo(
            "Speaking MCP on stdin and stdout, for a host to use; `--help` lists the commands for people.", err=True
        )
    secrets = SecretValues()
    secrets.add_environment(os.environ)
    with redacted_streams(secrets, stdout=arguments[0] != "serve"):
        return _run(arguments, secrets)


def _import_server(arguments: list[str]) -> None:
    """Import the command that serves, and with it the SDK: without a web server, unless it serves HTTP."""
    defer_wire_models()
    is_http = any(argument == "--http" or argument.startswith("--http=") for argument in arguments)
    # A Databricks App is served over HTTP without being told.
    if not is_http and not os.environ.get("DATABRICKS_APP_NAME", "").strip():
        import_without_web("databricks_responses_mcp.cli.serve")


def _run(arguments: list[str], secrets: SecretValues) -> int:
    try:
        if arguments[0] == "serve":
            _import_server(arguments)
        result = commands.main(args=arguments, prog_name="databricks-responses-mcp", standalone_mode=False, obj=secrets)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except BaseException as error:
        code = exit_code_of(error)
        if code is not None:
            return code
        if isinstance(error, SystemExit):
            raise
        # Printed here, not by the interpreter: its traceback would show secrets in the error's text.
        traceback.print_exception(error)
        return 1
    return result if isinstance(result, int) else 0
