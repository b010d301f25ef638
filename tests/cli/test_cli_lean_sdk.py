"""What the start leaves out of the SDK, in a process as a host starts it."""

import subprocess
import sys

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
