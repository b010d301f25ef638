"""What the generator ``scripts/manifests/`` makes, now or as it would after a release."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The module of the one setting, with the other value, before anything else imports it.
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
    """What an expression over a module of the generator prints; ``released`` as if the setting said so."""
    lines = ["import sys", "sys.path.insert(0, 'scripts/manifests')", *([_FLIP] if released else [])]
    code = "\n".join([*lines, f"from generating.{module} import *", f"print({expression})"])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", errors="strict", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
