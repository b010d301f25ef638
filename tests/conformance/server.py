"""The bridge over Streamable HTTP with the conformance suite's fixtures beside its own tools; prints its address."""

import os
import socket
import sys
from functools import partial
from pathlib import Path

import anyio
import uvicorn

sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance.fixture_rest import add_methods, add_prompts, add_resources
from conformance.fixture_rounds import add_rounds
from conformance.fixture_tasks import add_tasks
from conformance.fixture_tools import add_tools
from databricks_responses_mcp.server import BridgeServer, build_server
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_responses_mcp.workspace.settings import load_settings


def build() -> BridgeServer:
    """The server that ``serve --http`` runs, on the workspace of the environment, with the fixtures on it."""
    settings = load_settings(os.environ, {})
    server = build_server(lambda: open_bridge(settings, os.environ))
    for add in (add_tools, add_rounds, add_tasks, add_prompts, add_resources, add_methods):
        add(server)
    return server


def main() -> None:
    """Print the address, then serve until the process is ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
    application = build().streamable_http_app(host="127.0.0.1")
    server = uvicorn.Server(uvicorn.Config(application, http="h11", log_level="warning"))
    anyio.run(partial(server.serve, sockets=[listening]))


if __name__ == "__main__":
    main()
