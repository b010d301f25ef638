"""The entry point: a server for a host, or one of the commands.

Hosts start the server without an option and wait for it, so click is imported only for what has options.
"""

import os
import sys
import traceback
from collections.abc import Sequence

from databricks_responses_mcp.cli.redacted_streams import redacted_streams
from databricks_responses_mcp.cli.sdk_patches import defer_wire_models, import_without_web, leave_out_httpx_command
from databricks_responses_mcp.cli.session_options import SessionOptions
from databricks_responses_mcp.workspace.secret_values import SecretValues

_OF_THE_GROUP = ("-h", "--help", "-V", "--version")
_COMPLETION = "_DATABRICKS_RESPONSES_MCP_COMPLETE"
"""The variable by which a shell requests completion; click derives its name from the program's."""


def run(argv: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    arguments = list(argv)
    # Hosts start the server without a command, or only with its options.
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in _OF_THE_GROUP):
        arguments.insert(0, "serve")
    if not argv and sys.stdin is not None and sys.stdin.isatty() and _COMPLETION not in os.environ:
        print(  # noqa: T201 - for the person at the terminal
            "Speaking MCP on stdin and stdout, for a host to use; `--help` lists the commands for people.",
            file=sys.stderr,
        )
    secrets = SecretValues()
    secrets.add_environment(os.environ)
    with redacted_streams(secrets, stdout=arguments[0] != "serve"):
        return _run(arguments, secrets)


def _import_server(arguments: list[str]) -> None:
    """Import what serves, and with it the SDK: without a web server, unless it serves HTTP."""
    defer_wire_models()
    leave_out_httpx_command()
    is_http = any(argument == "--http" or argument.startswith("--http=") for argument in arguments)
    # A Databricks App is served over HTTP without being told.
    if not is_http and not os.environ.get("DATABRICKS_APP_NAME", "").strip():
        import_without_web("databricks_responses_mcp.cli.serving")


def _run(arguments: list[str], secrets: SecretValues) -> int:
    try:
        if arguments[0] == "serve":
            _import_server(arguments)
        if arguments == ["serve"] and _COMPLETION not in os.environ:
            from databricks_responses_mcp.cli.serving import serve

            serve(SessionOptions({}, embedded=False, engine=None, secrets=secrets))
            return 0
        from databricks_responses_mcp.cli.commands import run_command

        return run_command(arguments, secrets)
    except BaseException as error:
        from databricks_responses_mcp.cli.errors import exit_code_of

        code = exit_code_of(error)
        if code is not None:
            return code
        if isinstance(error, SystemExit):
            raise
        # Printed here, not by the interpreter: its traceback would show secrets in the error's text.
        traceback.print_exception(error)
        return 1
