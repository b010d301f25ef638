"""Calling one tool imports no module that only other tools need: the first call of a process waits for them."""

import subprocess
import sys

_SHOW = """
import sys
from databricks_responses_mcp.tools.definitions import NAMES
from databricks_responses_mcp.tools.registry import tool_named
tool_named("ask_databricks_model")
print(*(name for name in NAMES if f"databricks_responses_mcp.tools.{name}" in sys.modules))
"""


def test_a_call_of_one_tool_imports_no_other_tool() -> None:
    shown = subprocess.run([sys.executable, "-c", _SHOW], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["ask_databricks_model"]
