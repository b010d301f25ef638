"""For any input the engine returns a text or raises a PatchError, in bounded time."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databricks_responses_mcp.patching import PatchError, apply_diff, parse_patch, unified_diff

PIECES = [
    "@@",
    "@@ a",
    "@@ def f",
    "@@ -1,2 +1,2 @@",
    "@@ -99999999999999999999 +1 @@",
    "@@x",
    "+",
    "-",
    " ",
    "+a",
    "-a",
    " a",
    "+b",
    "-b",
    " b",
    "a",
    "b",
    "",
    "",
    "\r",
    "\\ No newline at end of file",
    "*** End of File",
    "*** Begin Patch",
    "*** End Patch",
    "*** Update File: f",
    "*** Add File: g",
    "*** Delete File: h",
    "*** Move to: i",
    "*** Add File:",
    "--- a/f",
    "+++ b/f",
    "diff --git a/f b/f",
    "```",
    "apply_patch <<'EOF'",
    "EOF",
    "\ufeff",
    "+\ufeffa",
    "\ufeff a",
    "\u0000",
    "-\u2028",
]
texts = st.lists(
    st.sampled_from(["a", "b", "", " a", "def f():", "\ufeff", "a\r"]) | st.text(max_size=5), max_size=12
).map("\n".join)
diffs = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=14).map("\n".join) | st.text()
often = settings(max_examples=700, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def outcome(call: Callable[..., Any], *arguments: str) -> Any:
    try:
        return call(*arguments)
    except PatchError as error:
        return error


@pytest.mark.slow
@often
@given(texts, diffs, st.sampled_from(["update", "create"]))
def test_a_garbled_diff_raises_a_patch_error_or_applies(text: str, diff: str, mode: str) -> None:
    result = outcome(apply_diff, text, diff, mode)
    if isinstance(result, PatchError):
        assert 0 < len(str(result)) < 4000
    else:
        assert isinstance(result.text, str)
        assert all(note.endswith(".") for note in result.notes)


@often
@given(diffs)
def test_a_garbled_patch_raises_a_patch_error_or_parses(text: str) -> None:
    operations = outcome(parse_patch, text)
    if isinstance(operations, PatchError):
        assert str(operations)
    else:
        assert operations
        assert all(operation.path for operation in operations)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.none() | texts, st.none() | texts)
def test_any_two_texts_have_a_diff(before: str | None, after: str | None) -> None:
    assert bool(unified_diff("f", before, after)) == (before != after)


REPEATS = "a\n" * 100_000


def test_many_repeated_lines_do_not_slow_the_search() -> None:
    # Each of these would take minutes if any step were quadratic.
    halves = REPEATS + "b\n" + REPEATS
    found = apply_diff(halves, " a\n" * 2000 + "-b\n+c")
    assert found.text == REPEATS + "c\n" + REPEATS
    for diff in (
        " a\n" * 2000 + "-c\n",
        "@@ a\n" * 10_000 + " a\n-c",
        "@@ zz\n-a\n+b\n" * 3000,
        "--- x\n" * 50_000,
        "\n" * 50_000 + "-c",
    ):
        with pytest.raises(PatchError):
            apply_diff(halves, diff)


def test_thousands_of_inexact_hunks_apply_to_a_megabyte() -> None:
    lines = [f"line {number} {'x' * 40}" for number in range(20_000)]
    diff = "".join(f"@@ {lines[at]}\n {lines[at + 1]}\n-{lines[at + 2]}  \n+new {at}\n" for at in range(0, 19_990, 4))
    result = apply_diff("\n".join(lines), diff)
    for at in range(0, 19_990, 4):
        lines[at + 2] = f"new {at}"
    assert result.text == "\n".join(lines)


def test_a_line_of_five_megabytes_can_be_edited() -> None:
    long = "x" * 5_000_000
    assert apply_diff(f"{long}\nb\n", f" {long}\n-b\n+c").text == f"{long}\nc\n"
