"""The pages about security and limits: each rule names tests that exist, each limit has the value that is told."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.workspace.settings import SERVICE_PREFIX, Settings

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SETTING = "RESPONSES_MCP_"
REFERENCE = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def rows(page: str) -> list[list[str]]:
    """Return the cells of each row of the page's tables, without heads."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    tables = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return [cells for cells in tables if cells[0] not in ("who", "what", "rule")]


@cache
def names_in(file: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if file.is_file() else ()
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_each_rule_of_the_security_page_names_tests_that_exist() -> None:
    rules = [cells for cells in rows("security.md") if len(cells) == 2]
    assert len(rules) > 30
    without = [rule for rule, held_by in rules if not REFERENCE.search(held_by)]
    named = {match.groups() for _, held_by in rules for match in REFERENCE.finditer(held_by)}
    missing = sorted(f"{file}::{name}" for file, name in named if name not in names_in(TESTS / file))
    assert (without, missing) == ([], [])


def test_whoever_is_in_the_table_has_rules() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    who = [cells[0] for cells in rows("security.md") if len(cells) == 3]
    assert len(who) == 7
    assert len(re.findall(r"^\| rule \| held by \|$", text, re.MULTILINE)) == len(who) - 1  # two share a section


def told(limit: str) -> float:
    """Return the number that a cell says."""
    number, unit = re.fullmatch(r"([\d,.]+)(?: (\S+).*)?", limit).groups()  # type: ignore[union-attr]
    return float(number.replace(",", "")) * UNITS.get(unit or "", 1)


def real(where: str) -> object:
    """Return the value of a setting or constant."""
    if where.startswith(SERVICE_PREFIX):
        return ServiceSettings.model_fields[where.removeprefix(SERVICE_PREFIX).lower()].default
    if where.startswith(SETTING):
        return Settings.model_fields[where.removeprefix(SETTING).lower()].default
    file, name = where.split(": ")
    package = "" if file.startswith("databricks_workspace_emulator/") else "databricks_responses_mcp/"
    module = f"{package}{file}".removesuffix(".py").replace("/", ".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("what", "limit", "where"), rows("limits.md"))
def test_each_limit_has_the_value_that_is_told(what: str, limit: str, where: str) -> None:
    assert real(where.strip("`")) == told(limit), what


def test_each_page_that_bounds_something_is_linked() -> None:
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/security.md" in security
    assert "docs/limits.md" in security
