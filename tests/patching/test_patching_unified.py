"""Unified diffs can be applied by git and patch."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.patching import apply_diff, unified_diff

quick = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
deep = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))

COMMANDS = {
    "git": ["git", "apply", "--whitespace=nowarn", "-"],
    "patch": ["patch", "-p1", "-s", "-f", "--no-backup-if-mismatch"],
}
tools = pytest.mark.parametrize(
    "tool", [pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason="absent")) for name in COMMANDS]
)
ENVIRONMENT = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}

lines = st.sampled_from(
    ["a", "b", "", "c", "\tx", "-", "+", "-- q", "é😀", "a\rb", "\f", "\u2028", "@@ -1 +1 @@", "\\ x"]
)
texts = st.lists(st.tuples(lines, st.sampled_from(["\n", "\n", "\r\n"])), max_size=25).map(
    lambda pairs: "".join(line + ending for line, ending in pairs)
)
contents = st.tuples(texts, st.booleans()).map(lambda pair: pair[0].rstrip("\r\n") if pair[1] else pair[0])


@st.composite
def changes(draw: st.DrawFn) -> tuple[str | None, str | None]:
    before = draw(contents)
    kind = draw(st.sampled_from(["edit", "edit", "rewrite", "create", "delete"]))
    if kind == "create":
        return None, before
    if kind == "delete":
        return before, None
    if kind == "rewrite":
        return before, draw(contents)
    parts = before.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(parts)))
        parts[at : at + draw(st.integers(0, 2))] = draw(st.lists(lines, max_size=2))
    return before, "\n".join(parts)


def apply(tool: str, diff: str, directory: Path) -> None:
    done = subprocess.run(COMMANDS[tool], cwd=directory, input=diff.encode(), capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 0, (diff, done.stdout, done.stderr)


def check(tool: str, pairs: list[tuple[str | None, str | None]], directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    diff = ""
    for number, (before, after) in enumerate(pairs):
        if before is not None:
            (directory / f"f{number}.txt").write_bytes(before.encode())
        diff += unified_diff(f"f{number}.txt", before, after)
    if diff:
        apply(tool, diff, directory)
    made = {path.name: path.read_bytes().decode() for path in directory.iterdir()}
    assert made == {f"f{number}.txt": after for number, (_, after) in enumerate(pairs) if after is not None}


@tools
@quick
@given(pairs=st.lists(changes(), min_size=1, max_size=12))
def test_generated_changes_apply_with_git_and_patch(
    tool: str, tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str | None, str | None]]
) -> None:
    check(tool, pairs, tmp_path_factory.getbasetemp() / f"unified-{tool}")


@pytest.mark.slow
@tools
@deep
@given(pairs=st.lists(changes(), min_size=1, max_size=20))
def test_many_generated_changes_apply_with_git_and_patch(
    tool: str, tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str | None, str | None]]
) -> None:
    check(tool, pairs, tmp_path_factory.getbasetemp() / f"unified-deep-{tool}")


@settings(max_examples=250, deadline=None, derandomize=True)
@given(contents, contents)
def test_a_unified_diff_is_accepted_as_a_v4a_diff(before: str, after: str) -> None:
    # Line endings are the file's own in V4A, so compare without them.
    plain, wanted = before.replace("\r\n", "\n"), after.replace("\r\n", "\n")
    diff = unified_diff("f", plain, wanted, context=100)
    assert apply_diff(plain, diff).text == wanted


@pytest.mark.skipif(not shutil.which("git"), reason="absent")
@pytest.mark.parametrize(
    "name", ["plain", "a b", "é", 'quo"te', "back\\slash", "tab\there", "dir/sub dir/f", "-dash", "new\nline"]
)
@pytest.mark.skipif(os.name == "nt", reason="Windows refuses such names")
def test_unusual_paths_are_quoted_as_git_requires(name: str, tmp_path: Path) -> None:
    apply("git", unified_diff(name, None, "x\n"), tmp_path)
    assert (tmp_path / name).read_text() == "x\n"
    apply("git", unified_diff(name, "x\n", "y"), tmp_path)
    assert (tmp_path / name).read_text() == "y"
    apply("git", unified_diff(name, "y", None), tmp_path)
    assert not (tmp_path / name).exists()


@tools
def test_renames_can_be_applied(tool: str, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("a\nb\n")
    apply(tool, unified_diff("old.txt", "a\nb\n", "a\nc\n", new_path="new.txt"), tmp_path)
    apply(tool, unified_diff("new.txt", "a\nc\n", "a\nc\n", new_path="last.txt"), tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"last.txt": "a\nc\n"}


def test_the_rendered_diff_has_the_usual_format() -> None:
    before = "".join(f"{number}\n" for number in range(30))
    after = before.replace("\n4\n", "\nfour\n").replace("\n20\n", "\n").removesuffix("\n")
    assert unified_diff("src/n.txt", before, after) == snapshot("""\
diff --git a/src/n.txt b/src/n.txt
--- a/src/n.txt
+++ b/src/n.txt
@@ -2,7 +2,7 @@
 1
 2
 3
-4
+four
 5
 6
 7
@@ -18,7 +18,6 @@
 17
 18
 19
-20
 21
 22
 23
@@ -27,4 +26,4 @@
 26
 27
 28
-29
+29
\\ No newline at end of file
""")
    assert unified_diff("n", None, "x") == snapshot("""\
diff --git a/n b/n
new file mode 100644
--- /dev/null
+++ b/n
@@ -0,0 +1 @@
+x
\\ No newline at end of file
""")
    assert unified_diff("n", "x\n", None) == snapshot("""\
diff --git a/n b/n
deleted file mode 100644
--- a/n
+++ /dev/null
@@ -1 +0,0 @@
-x
""")
    assert unified_diff("n", None, "") == snapshot("""\
diff --git a/n b/n
new file mode 100644
index 0000000..e69de29
""")
    assert unified_diff("n", "same", "same") == ""


@pytest.mark.slow
def test_a_rewrite_of_a_megabyte_is_rendered_completely_and_a_small_edit_briefly() -> None:
    before = [f"{number}" for number in range(100_000)]
    after = [*before[:50_000], "new", *before[50_010:]]
    small = unified_diff("f", "\n".join(before), "\n".join(after))
    assert small.count("\n") == 3 + 1 + 6 + 11
    half = "ab" * 50_000
    rewritten = unified_diff("f", "\n".join(half), "\n".join("ba" * 50_000 + half[::7]))
    assert apply_diff("\n".join(half), rewritten).text == "\n".join("ba" * 50_000 + half[::7])
