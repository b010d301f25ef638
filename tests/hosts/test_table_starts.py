"""The entry written for a host starts the server: it is read back in the host's format and run."""

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registration import list_servers
from databricks_responses_mcp.hosts.registry import HOSTS
from harness.deadlines import DEADLINE_SECONDS
from harness.terminal import CommandLine

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a home folder in which the server is registered with every host."""
    home = tmp_path_factory.mktemp("home")
    arguments = ["--embedded", "--engine", "rules", "--env", f"RESPONSES_MCP_IMAGE_DIR={home / 'pictures'}"]
    keys = [known.key for known in HOSTS]
    subprocess.run(
        [*CommandLine.argv("install", *keys, *arguments)], env=environment(home), check=True, capture_output=True
    )
    return home


def environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home)}


@pytest.mark.slow
@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
async def test_a_host_that_starts_its_entry_gets_an_answer(known: Host, home: Path) -> None:
    environ = environment(home)
    file = known.find_user_file(Machine(sys.platform, home, environ))
    (server,) = list_servers(known, file.read_text(encoding="utf-8"))
    assert server.launch is not None
    # No PATH: a desktop host has almost none.
    launched = StdioServerParameters(
        command=server.launch.command,
        args=list(server.launch.args),
        env={**environ, **server.launch.env, "PATH": ""},
    )
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(stdio_client(launched), mode="legacy") as client:
            result = await client.call_tool("ask_databricks_model", {"prompt": "Reply with the word: pomegranate"})
    assert not result.is_error
    assert any(isinstance(block, TextContent) and "pomegranate" in block.text for block in result.content)
