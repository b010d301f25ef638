"""Writes the SBOM of a release (CycloneDX, JSON): ``python3 scripts/sbom.py [FILE]``, by default into ``dist/``.

It lists what ``pip install`` of this source brings today, with nothing of tests or development, as installed into an
empty environment. The tool that reads that environment has one of its own, so that it is not in the list.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOL = "cyclonedx-bom>=7.5,<8"


def environment(folder: Path, *requirements: str) -> Path:
    """Make an environment with these requirements; returns the folder of its commands."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements], check=True)
    return folder / ("Scripts" if sys.platform == "win32" else "bin")


def write_sbom(target: Path) -> None:
    """Write the SBOM, validated against its schema."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment(folder / "release", str(ROOT))
        tool = environment(folder / "tool", TOOL) / "cyclonedx-py"
        options = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--output-file", str(target)]
        subprocess.run([str(tool), "environment", *options, str(folder / "release")], check=True)
    remove_local_addresses(target)


def remove_local_addresses(target: Path) -> None:
    """Leave out where this machine had the source: it says nothing to others."""
    sbom = json.loads(target.read_text(encoding="utf-8"))
    for component in [sbom["metadata"]["component"], *sbom.get("components", ())]:
        references = component.get("externalReferences", [])
        references = [reference for reference in references if not reference["url"].startswith("file:")]
        component.pop("externalReferences", None)
        if references:
            component["externalReferences"] = references
    target.write_text(json.dumps(sbom, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def default_target() -> Path:
    """Return ``dist/NAME-VERSION.cdx.json``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return ROOT / "dist" / f"{project['name']}-{project['version']}.cdx.json"


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default_target()
    write_sbom(path)
    print(path)
