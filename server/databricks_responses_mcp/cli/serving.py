"""Serving MCP over stdio, over HTTP on this machine, or over HTTP for a team (`cli.serve_team`).

Nothing of click is imported for a server that a host starts without an option.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread

from databricks_responses_mcp.cli.garbage_collection import start_collecting
from databricks_responses_mcp.cli.logs import configure_logging
from databricks_responses_mcp.cli.sdk_patches import keep_our_logs
from databricks_responses_mcp.cli.session import open_session, settings_of
from databricks_responses_mcp.cli.session_options import SessionOptions
from databricks_responses_mcp.cli.telemetry import telemetry
from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.server import BridgeServer, OpenBridge, build_server
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.host import is_loopback
from databricks_responses_mcp.workspace.settings import Settings

_CLEAN_UP_SECONDS = 5
_PORT_DIGITS = 5


def serve(session: SessionOptions, http: str | None = None) -> None:
    """Serve until the host closes stdin, or a signal comes.

    Args:
        http: ``HOST:PORT`` to serve HTTP there; None for stdio, or for what Databricks Apps names.

    Raises:
        click.UsageError: if ``http`` is no address, or not one of this machine without a team's sign-in.
    """
    settings = settings_of(session)
    configure_logging(settings.log_level, settings.log_format)
    keep_our_logs()

    @asynccontextmanager
    async def open_bridge() -> AsyncIterator[Bridge]:
        async with (
            telemetry(settings) as observer,
            open_session(settings, session, on_demand=True, observer=observer) as bridge,
        ):
            yield bridge

    if http is None and not os.environ.get("DATABRICKS_APP_NAME", "").strip():
        anyio.run(_serve_stdio, open_bridge)
        return
    # Imported here: over stdio nothing of a web server is needed.
    from databricks_responses_mcp.cli.serve_team import serve_team, team_service

    service = team_service(settings, os.environ)
    if service is not None:
        serve_team(service, session, None if http is None else _address(http))
    else:
        assert http is not None
        _serve_http(build_server(open_bridge), _loopback_address(http), settings)


async def _serve_stdio(open_bridge: OpenBridge) -> None:
    closed = anyio.Event()

    @asynccontextmanager
    async def tracked() -> AsyncIterator[Bridge]:
        try:
            async with open_bridge() as bridge:
                yield bridge
        finally:
            closed.set()

    server = build_server(tracked)
    start_collecting()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope, closed)
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()


async def _stop_on_signal(serving: anyio.CancelScope, closed: anyio.Event) -> None:
    """End the process on SIGTERM or SIGINT, after what it started has been stopped.

    A thread that waits for stdin, if stdin is not a pipe, cannot be interrupted, so the process does not wait for it.
    """
    if sys.platform == "win32":
        return  # a host ends a process there without asking it
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            serving.cancel()
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEAN_UP_SECONDS):
                await closed.wait()
            sys.stderr.flush()
            os._exit(128 + number)


def _serve_http(server: BridgeServer, address: tuple[str, int], settings: Settings) -> None:
    from databricks_responses_mcp.service.access import new_token
    from databricks_responses_mcp.service.http_server import SessionLimits, serve_http
    from databricks_responses_mcp.service.listening import listen

    listener = listen(*address)
    limits = SessionLimits(settings.http_max_sessions, settings.http_session_idle_seconds)
    token = new_token() if settings.http_token is None else settings.http_token.get_secret_value()
    _print_entry(listener.url, token if settings.http_token is None else None)
    settings.secrets.add(token)  # from here on it is taken out of whatever is written
    start_collecting()
    anyio.run(serve_http, server, listener, token, limits)


def _print_entry(url: str, made_token: str | None) -> None:
    """Show the person at the terminal what a client's configuration needs; a token that was set is not shown."""
    token = made_token or "${RESPONSES_MCP_HTTP_TOKEN}"
    entry = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {token}"}}
    about = (
        "The token is new at each start; set RESPONSES_MCP_HTTP_TOKEN to keep one."
        if made_token
        else "Put the value of RESPONSES_MCP_HTTP_TOKEN in its place where a client does not fill it in."
    )
    print(  # noqa: T201 - for the person at the terminal
        f"databricks-responses-mcp: serving MCP at {url}. The entry for a client's configuration:\n"
        f"{json.dumps({'mcpServers': {SERVER.key: entry}})}\n{about}",
        file=sys.stderr,
        flush=True,
    )


def _address(text: str) -> tuple[str, int]:
    from click import UsageError

    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or len(port) > _PORT_DIGITS or int(port) > 65535:
        raise UsageError(f"--http must be HOST:PORT, such as 127.0.0.1:8000, not {text!r}.")
    return host, int(port)


def _loopback_address(text: str) -> tuple[str, int]:
    from click import UsageError

    host, port = _address(text)
    if not is_loopback(host):
        raise UsageError(
            f"--http serves this machine only, and {host!r} is not loopback: anyone who can connect uses your "
            "workspace. To serve a team, configure how its users sign in: RESPONSES_MCP_SERVICE_OAUTH_ISSUER or "
            "RESPONSES_MCP_SERVICE_KEYS_FILE, or deploy to Databricks Apps, which sets DATABRICKS_APP_NAME."
        )
    return host, port
