"""What the start leaves out of the SDK, in a process as a host starts it."""

import subprocess
import sys

import pytest

from harness.deadlines import DEADLINE_SECONDS

CODE = """
import sys
from databricks_responses_mcp.cli import sdk_patches
sdk_patches.defer_wire_models()
import mcp_types._v2025_11_25 as era
print(era.CallToolResult.__pydantic_complete__)
from mcp.server import MCPServer
sdk_patches.keep_our_logs()
MCPServer("x")
print("rich.console" in sys.modules)
print(era.CallToolResult.model_validate({"content": []}).model_dump(exclude_none=True)["content"])
"""


def test_models_wait_until_they_are_needed_and_rich_is_not_imported() -> None:
    """Both reach into the SDK: this fails when a new SDK no longer has what they look for."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "[]"]


STDIO = """
import sys
from databricks_responses_mcp.cli import sdk_patches
sdk_patches.WEB_PACKAGES |= set(sys.argv[1:])
sdk_patches.import_without_web("databricks_responses_mcp.cli.serving")
print(*sorted(sdk_patches.WEB_PACKAGES & set(sys.modules)))
from databricks_responses_mcp.server import MCPServer
import inspect, starlette.applications
print("starlette" in str(inspect.getmodule(starlette.applications.Starlette).__file__))
import databricks_responses_mcp.server as server
from mcp.server.lowlevel import server as lowlevel
print(lowlevel.Starlette is starlette.applications.Starlette)
"""


def run_python(*arguments: str) -> list[str]:
    """Run Python without input; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, *arguments], input="", capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS
    )
    return done.stdout.splitlines()


def test_the_server_is_imported_without_a_web_server_that_can_be_imported_later() -> None:
    """It reaches into the SDK: this fails when a new SDK needs a package of the web to be imported."""
    assert run_python("-c", STDIO) == ["", "True", "False"]


def test_a_package_that_cannot_be_done_without_is_imported() -> None:
    # As if the SDK began to need something of the web while it is imported: anyio, of which it does.
    assert run_python("-c", STDIO, "anyio") == ["anyio httpx2 sse_starlette starlette uvicorn", "True", "True"]


@pytest.mark.parametrize("arguments", [(), ("--log-level", "ERROR"), ("serve",)])
def test_a_host_s_session_over_stdio_never_imports_a_web_server(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        "from databricks_responses_mcp.cli.main import run\n"
        "run(sys.argv[1:])\n"
        "print(*{'httpx2', 'sse_starlette', 'starlette', 'uvicorn'} & set(sys.modules))\n"
    )
    assert run_python("-c", code, *arguments) == [""]


@pytest.mark.parametrize("arguments", [(), ("serve",)])
def test_a_server_without_options_starts_without_the_command_line(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        "from databricks_responses_mcp.cli.main import run\n"
        "run(sys.argv[1:])\n"
        "print('click' in sys.modules, 'databricks_responses_mcp.cli.options' in sys.modules)\n"
    )
    assert run_python("-c", code, *arguments) == ["False False"]


def test_httpx_is_imported_without_its_command_line() -> None:
    """It reaches into httpx: this fails when a new httpx imports its command line elsewhere, or cannot do without."""
    code = (
        "import sys\n"
        "from databricks_responses_mcp.cli.sdk_patches import leave_out_httpx_command\n"
        "leave_out_httpx_command()\n"
        "import httpx\n"
        "print(httpx.AsyncClient.__name__, 'rich' in sys.modules)\n"
    )
    assert run_python("-c", code) == ["AsyncClient False"]
