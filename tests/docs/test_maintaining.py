"""The pages for maintainers: every file that they name is there, and every name is defined in the file before it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "server" / "databricks_responses_mcp"
PAGES = [ROOT / "docs" / "maintaining" / name for name in ("architecture.md", "adding.md")]
PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|json|toml)|(?:[\w.-]+/)+)`")
NAMED = re.compile(r"`((?:[\w-]+/)*[\w-]+\.py)`:\s+`([\w.]+)`")


def file_of(named: str) -> Path:
    """A path of a page, which starts in the package or at the top of the repository."""
    return PACKAGE / named if (PACKAGE / named).exists() else ROOT / named


@cache
def names_in(file: Path) -> frozenset[str]:
    """Every function, class and variable of a module, and those of its classes and functions with a dot before them."""
    return frozenset(_names(ast.parse(file.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> list[str]:
    found: list[str] = []
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found += [prefix + node.name, *_names(node.body, f"{prefix}{node.name}.")]
        elif isinstance(node, ast.AnnAssign):
            found += [prefix + node.target.id] if isinstance(node.target, ast.Name) else []
        elif isinstance(node, ast.Assign):
            found += [prefix + target.id for target in node.targets if isinstance(target, ast.Name)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_for_maintainers_names_is_there(page: Path) -> None:
    paths = PATH.findall(page.read_text(encoding="utf-8"))
    assert len(paths) > 30
    assert [path for path in paths if not file_of(path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_function_that_a_page_for_maintainers_names_is_in_its_file(page: Path) -> None:
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    assert len(named) > 15
    assert [(path, name) for path, name in named if name not in names_in(file_of(path))] == []


def test_every_package_has_its_arrows_and_its_row() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    packages = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}
    assert {name for name in packages if f"| `{name}` | " not in text} == set()
