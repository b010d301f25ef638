"""A server for a single user does not import the rules of policies."""

import subprocess
import sys

import pytest

_SHOW = """
import sys
import databricks_responses_mcp.calls.tool_call, databricks_responses_mcp.turns.pipeline
from databricks_responses_mcp.tools.registry import all_tools
all_tools()
print(*sorted(name for name in sys.modules if name.startswith("databricks_responses_mcp.policy")))
"""


@pytest.mark.slow
def test_calls_without_a_policy_import_only_its_error() -> None:
    shown = subprocess.run([sys.executable, "-c", _SHOW], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["databricks_responses_mcp.policy", "databricks_responses_mcp.policy.refusal"]
