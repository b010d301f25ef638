"""What all tests share: a workspace on loopback, the bridge to it, and MCP clients of both protocol eras."""

import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from mcp import Client
from mcp.types import Implementation

from databricks_responses_mcp.server import build_server
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness import Connect, Host, settings_for
from oracle.openai_spec import validate_request


def pytest_configure() -> None:
    """Let child processes take Ctrl-C: a shell starts a command in the background with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let runs of faults be longer than the bounded ones, or others."""
    parser.addoption("--exchanges", type=int, default=0, help="faulty exchanges; at least one of each class")
    parser.addoption("--kills", type=int, default=8, help="how often the server is killed at a random point")
    parser.addoption("--seed", type=int, default=1, help="of everything that is left to chance in runs of faults")


# A busy machine takes long over any example: that says nothing about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """Restore what a command that runs in the process of the tests sets: later tests may read its log."""
    loggers = [logging.getLogger(), logging.getLogger("databricks_responses_mcp")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def anyio_backend() -> str:
    """The bridge runs on asyncio."""
    return "asyncio"


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    """A workspace with the rule engine; every request that reached its models must fit OpenAI's own document."""
    async with run_emulator() as running:
        yield running
    agents = {name for name, endpoint in running.state.endpoints.items() if endpoint.kind == "agent"}
    for exchange in running.state.request_log.to("/serving-endpoints/responses"):
        # Agents speak a dialect of their own on the same path.
        if isinstance(exchange.body, dict) and exchange.body.get("model") not in agents:
            validate_request(exchange.body)


@pytest.fixture
async def bridge(emulator: RunningEmulator, tmp_path: Path) -> AsyncIterator[Bridge]:
    """The bridge to the workspace of this test."""
    async with open_bridge(settings_for(emulator, tmp_path), {}) as opened:
        yield opened


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras."""
    return str(request.param)


@pytest.fixture
def connect(emulator: RunningEmulator, tmp_path: Path) -> Connect:
    """Connects a host, in memory, to a server on this test's workspace.

    Used as ``async with connect(era, client_name=…, **settings)``.
    """

    @asynccontextmanager
    async def connected(
        era: str = "2026-07-28", *, client_name: str = "test", **overrides: object
    ) -> AsyncIterator[Host]:
        settings = settings_for(emulator, tmp_path, **overrides)
        server = build_server(lambda: open_bridge(settings, {}))
        who = Implementation(name=client_name, version="1")
        async with Client(server, mode="legacy" if era == "legacy" else era, client_info=who) as client:
            yield Host(client)

    return connected
