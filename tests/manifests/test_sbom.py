"""The SBOM of a release lists what it brings, and nothing of the machine that wrote it."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_sbom_has_every_dependency_and_nothing_of_this_machine_or_of_the_tests(tmp_path: Path) -> None:
    target = tmp_path / "release.cdx.json"
    subprocess.run(["python3", str(ROOT / "scripts" / "sbom.py"), str(target)], check=True, capture_output=True)
    sbom = json.loads(target.read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    main = sbom["metadata"]["component"]
    assert (sbom["bomFormat"], main["name"], main["version"]) == ("CycloneDX", project["name"], project["version"])
    names = {component["name"].lower() for component in sbom["components"]}
    wanted = {re.split(r"[<>=~!\[ ;]", dependency)[0].lower() for dependency in project["dependencies"]}
    assert (wanted - names, names & {"pytest", "ruff", "cyclonedx-bom", "pip"}) == (set(), set())
    assert "file:" not in target.read_text(encoding="utf-8")
