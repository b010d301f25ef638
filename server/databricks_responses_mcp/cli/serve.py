"""``serve``: speak MCP over stdio, or over HTTP on this machine."""

import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import click

from databricks_responses_mcp.app import BridgeServer, OpenBridge, build_server
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.lean_sdk import keep_our_logs
from databricks_responses_mcp.cli.logs import configure_logging
from databricks_responses_mcp.cli.options import SessionOptions, session_options
from databricks_responses_mcp.cli.session import open_session, settings_of
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.host import is_loopback

_CLEAN_UP_SECONDS = 5


@click.command(
    cls=SectionedCommand, help="Serve MCP over stdio (the default), or over Streamable HTTP on this machine."
)
@click.option("--http", metavar="HOST:PORT", help="Serve Streamable HTTP at http://HOST:PORT/mcp; HOST is loopback.")
@session_options()
def command(session: SessionOptions, http: str | None) -> None:
    """Serve until the host closes stdin, or a signal comes."""
    settings = settings_of(session)
    configure_logging(settings.log_level, settings.log_format)
    keep_our_logs()

    def open_bridge() -> AbstractAsyncContextManager[Bridge]:
        return open_session(settings, session)

    if http is None:
        anyio.run(_serve_stdio, open_bridge)
        return
    host, port = _address(http)
    _check_free(host, port)
    anyio.run(_serve_http, build_server(open_bridge), host, port)


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
    gc.freeze()
    gc.enable()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope, closed)
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()


async def _stop_on_signal(serving: anyio.CancelScope, closed: anyio.Event) -> None:
    """End the process on SIGTERM or SIGINT, after what it started has been stopped.

    The thread that waits for stdin cannot be interrupted, so the process does not wait for it.
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


async def _serve_http(server: BridgeServer, host: str, port: int) -> None:
    gc.freeze()
    gc.enable()
    await server.run_streamable_http_async(host=host, port=port)


def _check_free(host: str, port: int) -> None:
    """Say in words what the web server would only log.

    Raises:
        BridgeError: ``invalid_argument`` if nobody may listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"The server cannot listen on port {port} of {host}: {error.strerror or error}.",
                "Choose another one with --http HOST:PORT.",
            ) from error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"--http takes HOST:PORT, such as 127.0.0.1:8000, not {text!r}.")
    if not is_loopback(host):
        raise click.UsageError(
            f"--http serves this machine only, and {host!r} is not loopback: whoever can connect uses your workspace. "
            "Put a proxy that signs people in in front of 127.0.0.1."
        )
    return host, int(port)
