"""The command ``serve``."""

import click

from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import SessionOptions, session_options
from databricks_responses_mcp.cli.serving import serve


@click.command(
    cls=SectionedCommand,
    help="Serve MCP over stdio (the default), or over Streamable HTTP: for yourself on this machine, or for a team. It "
    "is for a team if RESPONSES_MCP_SERVICE_OAUTH_ISSUER or RESPONSES_MCP_SERVICE_KEYS_FILE is set, and in Databricks "
    "Apps.",
)
@click.option(
    "--http",
    metavar="HOST:PORT",
    help="Serve Streamable HTTP at http://HOST:PORT/mcp. For a team, HOST may be any address and users sign in. For "
    "yourself, HOST must be loopback, and clients must send a bearer token: the one that is printed, or "
    "RESPONSES_MCP_HTTP_TOKEN. Default in Databricks Apps: the port that the platform names.",
)
@session_options(is_server=True)
def command(session: SessionOptions, http: str | None) -> None:
    """Serve until the host closes stdin, or a signal comes."""
    serve(session, http)
