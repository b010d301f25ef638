"""Hosts that declare the tasks extension, and hosts with a user who can be asked."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult, Implementation

from databricks_responses_mcp.server import BridgeServer, build_server
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host, settings_for
from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS
from harness.tasks_client import TaskHost, TaskHosts, task_client
from harness.user import MCP_SECRET, MCP_SERVERS, Connected, User


async def nobody_asks(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Only declares that this host could ask: a task asks through ``tasks/get``."""
    raise AssertionError(params)


@pytest.fixture
def task_hosts(emulator: RunningEmulator, tmp_path: Path) -> TaskHosts:
    """A host that declares tasks, on a server of its own: ``async with task_hosts(client_name=…)``.

    What is held becomes a task at once, unless ``hand_over_seconds`` says otherwise.
    """

    @asynccontextmanager
    async def connected(
        client_name: str = "test", *, add: Callable[[BridgeServer], None] | None = None, **overrides: Any
    ) -> AsyncIterator[TaskHost]:
        settings = settings_for(emulator, tmp_path, **{"hand_over_seconds": 0.05, **overrides})
        server = build_server(lambda: open_bridge(settings, {}))
        if add is not None:
            add(server)
        who = Implementation(name=client_name, version="1")
        with anyio.fail_after(DEADLINE_SECONDS):
            async with task_client(server, client_info=who, elicitation_callback=nobody_asks) as client:
                yield TaskHost(client)

    return connected


@pytest.fixture
def hosts(emulator: RunningEmulator, tmp_path: Path) -> Connected:
    """A host with somebody in front of it, or without: ``async with hosts(era, user, **settings)``."""

    @asynccontextmanager
    async def connected(era: str, user: User | None = None, **overrides: object) -> AsyncIterator[Host]:
        settings = settings_for(emulator, tmp_path, **{"mcp_servers": json.dumps(MCP_SERVERS), **overrides})
        server = build_server(lambda: open_bridge(settings, {"TICKETS_TOKEN": MCP_SECRET}))
        with anyio.fail_after(LONG_DEADLINE_SECONDS):  # some tests set the clock forward by minutes
            async with Client(server, mode=era, elicitation_callback=user) as client:
                yield Host(client)

    return connected
