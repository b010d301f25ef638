"""Try a random sample of mutants: change one place of the code at a time, and see whether a test fails.

    .venv/bin/python scripts/mutants.py --count 10 --seed 1 server/databricks_responses_mcp/turns/usage.py …

The mutants run in copies of the committed tree below ``.cache/mutants``, so the working tree is not changed. The tests
that reach a line are read from a coverage database with one context for each test; docs/maintaining/testing.md has the
command that makes it. Annotations, docstrings, logging and the text of messages are not mutated.
"""

import argparse
import ast
import compileall
import json
import os
import py_compile
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
COPIES = ROOT / ".cache" / "mutants"
COVERAGE = ROOT / ".cache" / "coverage.db"

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*"}
Change = tuple[int, int, str]
"""The start and the end of what is replaced, in bytes, and the new text."""
_LOGGING = frozenset({"debug", "info", "warning", "exception", "log"})


class Mutant(NamedTuple):
    """One change of one file.

    Attributes:
        lines: the first and the last line of the statement that is changed.
        start: the offset in bytes at which ``old`` is replaced by ``new``.
    """

    file: str
    lines: tuple[int, int]
    start: int
    old: str
    new: str

    @property
    def label(self) -> str:
        """The place and the change, on one line."""
        return f"{self.file}:{self.lines[0]}: {_one_line(self.old)} -> {_one_line(self.new)}"


class Result(NamedTuple):
    """The result of a mutant.

    Attributes:
        status: ``killed``, ``survived``, ``hung`` or ``not reached``.
        test: the test that failed.
    """

    mutant: Mutant
    status: str
    test: str = ""


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    source = Source(path.read_bytes())
    name = str(path.relative_to(ROOT))

    def visit(node: ast.AST, statement: ast.stmt | None) -> Iterator[Mutant]:
        if _is_left_out(node):
            return
        if isinstance(node, ast.stmt):
            statement = node
        if statement is not None:
            lines = (statement.lineno, _head_end(statement))
            for changes in (_of_operators, _of_values, _of_conditions, _of_statements):
                for start, end, new in changes(node, source):
                    yield Mutant(name, lines, start, source.text[start:end].decode(), new)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "bases", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from visit(child, statement)

    yield from visit(ast.parse(source.text), None)


class Source:
    """The text of a file, and where the nodes of its syntax tree are in it."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return the start and the end of a node, in bytes."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[end_line - 1] + end_column

    def between(self, left: ast.expr, right: ast.expr) -> tuple[int, int]:
        """Return the start and the end of the operator between two operands, without parentheses."""
        start, end = self.span(left)[1], self.span(right)[0]
        text = self.text[start:end]
        return start + len(text) - len(text.lstrip(b" \n)")), end - len(text) + len(text.rstrip(b" \n("))


def _of_operators(node: ast.AST, source: Source) -> Iterator[Change]:
    """Yield the changes of operators, and of the operands of `and` and `or`."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            yield *source.between(left, right), _COMPARISONS[type(operator)]
        case ast.BoolOp(op=operator, values=values):
            for first, second in pairwise(values):
                yield *source.between(first, second), "or" if isinstance(operator, ast.And) else "and"
            for value in values:
                yield *source.span(value), "True" if isinstance(operator, ast.And) else "False"
        case ast.UnaryOp(op=ast.Not()):
            start, _ = source.span(node)
            yield start, start + len("not "), ""
        case ast.BinOp(left=left, right=right, op=operator) if type(operator) in _OPERATORS:
            if not any(isinstance(part, ast.JoinedStr | ast.List | ast.Tuple) for part in (left, right)):
                yield *source.between(left, right), _OPERATORS[type(operator)]


def _of_values(node: ast.AST, source: Source) -> Iterator[Change]:
    """Yield the changes of constants, of arguments and of what is returned."""
    match node:
        case ast.Constant(value=bool() as value):
            yield *source.span(node), str(not value)
        case ast.Constant(value=int() | float() as value):
            yield *source.span(node), str(value + 1)
            yield *source.span(node), str(value - 1)
        case ast.Call(func=function, args=[first, second], keywords=[]) if not _is_symmetric(function):
            (start, end), (other_start, other_end) = source.span(first), source.span(second)
            text = source.text
            swapped = text[other_start:other_end] + text[end:other_start] + text[start:end]
            yield start, other_end, swapped.decode()
        case ast.keyword(arg=str(), value=value) | ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield *source.span(value), "None"


def _of_conditions(node: ast.AST, source: Source) -> Iterator[Change]:
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            yield *source.span(test), "True"
            yield *source.span(test), "False"
        case ast.While(test=test):
            yield *source.span(test), "False"
        case ast.comprehension(ifs=[test]):
            yield *source.span(test), "True"


def _of_statements(node: ast.AST, source: Source) -> Iterator[Change]:
    """Yield the removals of statements."""
    match node:
        case (
            ast.Expr(value=ast.Call() | ast.Await())
            | ast.Raise()
            | ast.Delete()
            | ast.AugAssign()
            | ast.Continue()
            | ast.Break()
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
        ):
            yield *source.span(node), "pass"


def _is_left_out(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))):
            return name in _LOGGING
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _head_end(statement: ast.stmt) -> int:
    """Return the last line of a statement without the block below it."""
    body = getattr(statement, "body", None)
    return max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or statement.lineno


def _is_symmetric(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id in ("max", "min")


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _one_line(text: str) -> str:
    joined = " ".join(text.split())
    return f"`{joined if len(joined) <= 70 else joined[:67] + '...'}`"


class Reached:
    """Which tests reach which lines.

    Args:
        database: what coverage wrote; its contexts are the ids of tests.
    """

    def __init__(self, database: Path) -> None:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            contexts = dict(connection.execute("select id, context from context"))
            files = dict(connection.execute("select id, path from file"))
            rows = connection.execute("select file_id, context_id, numbits from line_bits").fetchall()
        self._lines: dict[str, dict[str, set[int]]] = {}
        self._size: dict[str, int] = {}
        for file, context, bits in rows:
            test = contexts[context].partition("|")[0]
            name = "server/" + files[file].partition("/server/")[2]
            found = {8 * index + bit for index, byte in enumerate(bits) for bit in range(8) if byte & 1 << bit}
            self._lines.setdefault(name, {}).setdefault(test, set()).update(found)
            self._size[test] = self._size.get(test, 0) + len(found)

    def tests_of(self, mutant: Mutant, most: int, only: str = "") -> list[str]:
        """Return tests that reach the mutant's lines, those that reach the least other code first.

        Args:
            most: how many; of more, some of each size, and of one function's parameters few.
            only: part of the tests' ids.
        """
        first, last = mutant.lines
        by_test = self._lines.get(mutant.file, {})
        reaching = [test for test, lines in by_test.items() if any(first <= line <= last for line in lines)]
        if "" in reaching:
            # The line runs when the module is imported: any test of the module may depend on it.
            reaching = list(by_test)
        found = sorted((test for test in reaching if test and only in test), key=lambda test: self._size[test])
        if len(found) > most:
            found = list({test.partition("[")[0]: test for test in found}.values())
        return found[:: -(-len(found) // most)] if found else []


def copy_tree(copy: Path) -> None:
    """Write the committed tree to a folder, compiled so that a changed file is noticed by its content."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S607
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(copy, filter="data")
    (copy / ".venv").symlink_to(ROOT / ".venv")
    for folder in ("server", "tests"):
        compileall.compile_dir(copy / folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def try_mutant(mutant: Mutant, tests: list[str], copy: Path, seconds: float) -> Result:
    """Run tests on one mutant in a copy of the tree."""
    if not tests:
        return Result(mutant, "not reached")
    path = copy / mutant.file
    original = path.read_bytes()
    end = mutant.start + len(mutant.old.encode())
    assert original[mutant.start : end].decode() == mutant.old, "commit first: the copies are made of the last commit"
    path.write_bytes(original[: mutant.start] + mutant.new.encode() + original[end:])
    environment = {**os.environ, "PYTHONPATH": str(copy / "server"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
    process = subprocess.Popen(
        [*command, "-m", "", *tests],
        cwd=copy,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return Result(mutant, "hung")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the session that was started above
        process.wait()
        path.write_bytes(original)
    if process.returncode == 0:
        return Result(mutant, "survived")
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return Result(mutant, "killed", failed[0] if failed else output.strip()[-300:])


def main() -> None:
    """Sample mutants, run the tests that reach them, and print each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+", type=Path, help="files to mutate; FILE:LINE takes that line only")
    parser.add_argument("--count", type=int, default=10, help="mutants of each file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--coverage", type=Path, default=COVERAGE)
    parser.add_argument("--tests", type=int, default=60, help="tests for each mutant at most")
    parser.add_argument("--only", default="", help="keep only tests whose id contains this text")
    parser.add_argument("--seconds", type=float, default=150, help="time for the tests of one mutant")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="append the results to this file, one JSON object a line")
    options = parser.parse_args()

    reached = Reached(options.coverage)
    chance = random.Random(options.seed)  # noqa: S311
    sample: list[Mutant] = []
    for module in options.modules:
        path, _, line = str(module).partition(":")
        found = list(mutants_of((ROOT / path).resolve()))
        if line:
            found = [mutant for mutant in found if mutant.lines[0] <= int(line) <= mutant.lines[1]]
        sample += sorted(chance.sample(found, min(options.count, len(found))), key=lambda mutant: mutant.start)

    copies: Queue[Path] = Queue()
    for number in range(options.jobs):
        copy = COPIES / f"{os.getpid()}-{number}"
        copy_tree(copy)
        copies.put(copy)

    def work(mutant: Mutant) -> Result:
        tests = reached.tests_of(mutant, options.tests, options.only)
        copy = copies.get()
        try:
            return try_mutant(mutant, tests, copy, options.seconds)
        finally:
            copies.put(copy)

    counts: dict[str, int] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(work, sample):
            counts[result.status] = counts.get(result.status, 0) + 1
            print(f"{result.status:12}{result.mutant.label}", flush=True)
            if options.out:
                with options.out.open("a") as out:
                    out.write(json.dumps([result.mutant._asdict(), result.status, result.test]) + "\n")
    while not copies.empty():
        shutil.rmtree(copies.get())
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
