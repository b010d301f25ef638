"""The rules that the MCP registry puts on ``server.json`` (format 2025-12-11), each where the file could break it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from databricks_responses_mcp import __version__
from harness.generated import generated

ROOT = Path(__file__).parents[2]
RANGE = re.compile(r"[\^~<>=*|]|\.x\b|\blatest\b| - ")


@pytest.fixture(scope="module")
def server() -> Any:
    return json.loads(generated("mcp_registry", "registry_files(released=True)['server.json'].decode()"))


def test_its_name_is_one_that_the_registry_takes(server: Any) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", server["name"])
    assert 3 <= len(server["name"]) <= 200
    # With a GitHub account one may publish under its own name alone.
    owner = server["repository"]["url"].removeprefix("https://github.com/").partition("/")[0]
    assert server["name"].startswith(f"io.github.{owner}/")


def test_its_texts_are_short_enough(server: Any) -> None:
    assert 1 <= len(server["description"]) <= 100
    assert 1 <= len(server["title"]) <= 100


def test_its_versions_are_this_one_and_no_range(server: Any) -> None:
    versions = [server["version"], *(package["version"] for package in server["packages"])]
    assert versions == [__version__] * len(versions)
    assert [version for version in versions if RANGE.search(version)] == []


def test_it_has_the_keys_that_are_demanded_and_none_that_is_unknown(server: Any) -> None:
    assert set(server) == {
        "$schema",
        "name",
        "title",
        "description",
        "version",
        "websiteUrl",
        "repository",
        "packages",
    }
    assert server["$schema"].endswith("/2025-12-11/server.schema.json")
    assert set(server["repository"]) == {"url", "source"}
    (package,) = server["packages"]
    assert {key: package[key] for key in ("registryType", "identifier", "runtimeHint")} == {
        "registryType": "pypi",
        "identifier": "databricks-responses-mcp",
        "runtimeHint": "uvx",
    }
    assert package["transport"] == {"type": "stdio"}


def test_it_asks_for_the_variables_and_knows_the_secret(server: Any) -> None:
    (package,) = server["packages"]
    variables = {variable["name"]: variable for variable in package["environmentVariables"]}
    assert [name for name, variable in variables.items() if variable["isSecret"]] == ["DATABRICKS_TOKEN"]
    known = {"name", "description", "format", "isRequired", "isSecret", "placeholder", "default"}
    assert [name for name, variable in variables.items() if not set(variable) <= known] == []
    assert {variable["format"] for variable in variables.values()} <= {"string", "number", "boolean", "filepath"}


def test_the_readme_proves_that_the_package_is_ours(server: Any) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"mcp-name: (\S+)(?=\s)", readme) == [server["name"]]
    assert re.search(r'^readme = "README.md"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
