"""The output of the generator ``scripts/manifests/``, now or after a release."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Changes the setting in its module before anything else imports it.
_FLIP = """
import types
from pathlib import Path
name = "databricks_responses_mcp.hosts.server_info"
source = Path("server/databricks_responses_mcp/hosts/server_info.py").read_text(encoding="utf-8")
module = types.ModuleType(name)
sys.modules[name] = module
exec(source.replace("\\nRELEASED: bool = False\\n", "\\nRELEASED: bool = True\\n"), module.__dict__)
assert module.RELEASED
"""


def generated(module: str, expression: str, *, released: bool = False) -> str:
    """Return the output of an expression over a module of the generator, with that value of the setting."""
    lines = ["import sys", "sys.path.insert(0, 'scripts/manifests')", *([_FLIP] if released else [])]
    code = "\n".join([*lines, f"from generating.{module} import *", f"print({expression})"])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", errors="strict", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
