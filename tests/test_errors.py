"""Errors are built once, and code decides by their fields: nothing reads or rewrites the sentences that it shows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import databricks_responses_mcp
import databricks_workspace_emulator

ROOTS = [Path(package.__file__).parent for package in (databricks_responses_mcp, databricks_workspace_emulator)]
UPSTREAM = ("workspace/api_errors.py", "workspace/error_bodies.py")
"""Where the words of the workspace are read, to find out what they mean."""

SHOWN = ("message", "hint")
FIELDS = (*SHOWN, "code", "advice", "reason", "partial", "retryable", "status")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for root in ROOTS:
        for file in sorted(root.rglob("*.py")):
            name = file.relative_to(root).as_posix()
            if name not in UPSTREAM:
                yield name, ast.parse(file.read_text(encoding="utf-8"))


def is_shown_text(node: ast.AST) -> bool:
    """Whether an expression is what an error shows: one of its sentences, or ``str()`` of a caught exception."""
    return isinstance(node, ast.Attribute) and node.attr in SHOWN


def decisions_by_text(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[text]) if is_shown_text(text):
                yield node.lineno
            case ast.Call(func=ast.Attribute(value=text, attr=method)) if is_shown_text(text):
                if method in ("startswith", "endswith", "replace", "removeprefix", "removesuffix", "partition", "find"):
                    yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name("re")), args=args) if any(map(is_shown_text, args)):
                yield node.lineno


def changes_of_errors(tree: ast.Module) -> Iterator[int]:
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)} | {"cause", "failure"}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            match target:
                case ast.Attribute(value=ast.Name(name), attr=field) if name in caught and field in FIELDS:
                    yield target.lineno


def test_nothing_decides_by_the_text_of_an_error() -> None:
    assert [f"{name}:{line}" for name, tree in modules() for line in decisions_by_text(tree)] == []


def test_no_error_is_changed_after_it_was_built() -> None:
    assert [f"{name}:{line}" for name, tree in modules() for line in changes_of_errors(tree)] == []


def test_these_tests_see_what_they_look_for() -> None:
    tree = ast.parse("""
try:
    pass
except BridgeError as error:
    if "gone" in error.message or error.hint.startswith("Ask") or re.search("x", error.message):
        error.hint = "Look again."
        error.partial |= {}
""")
    assert sorted(decisions_by_text(tree)) == [5, 5, 5]
    assert sorted(changes_of_errors(tree)) == [6, 7]
