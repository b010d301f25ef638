"""The group of all commands, each imported when it is used."""

import importlib

import click

from databricks_responses_mcp import __version__
from databricks_responses_mcp.cli.help import EXIT_CODES_HELP, NamingContext
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


def run_command(arguments: list[str], secrets: SecretValues) -> int:
    """Run the command that the arguments name; return its exit code.

    Args:
        secrets: receives what the command's output must not show.
    """
    try:
        result = commands.main(args=arguments, prog_name="databricks-responses-mcp", standalone_mode=False, obj=secrets)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    return result if isinstance(result, int) else 0
