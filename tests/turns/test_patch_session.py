"""What an ``apply_patch`` call does to files that are texts in memory."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.patching import PatchError
from databricks_responses_mcp.turns.patch_session import PatchSession

pytestmark = pytest.mark.anyio

FILES = {"src/a.py": "one\ntwo\n", "b.txt": "b\r\n", "/elsewhere/c.txt": "c\n"}


async def anything(name: str, text: str | None) -> None:
    """Admits every operation."""


def desk(**files: str) -> PatchSession:
    return PatchSession(files or FILES, root="/home/me/project", admit=anything)


def call(kind: str, path: Any, diff: Any = "") -> dict[str, Any]:
    return {"type": "apply_patch_call", "call_id": "c1", "operation": {"type": kind, "path": path, "diff": diff}}


async def test_files_are_updated_made_and_deleted_and_the_diff_shows_it() -> None:
    work = desk()
    answers = [
        await work.carry_out(call("update_file", "src/a.py", "@@\n one\n-two\n+TWO\n")),
        await work.carry_out(call("create_file", "src/new/d.py", "+first\n+second\n")),
        await work.carry_out(call("delete_file", "/elsewhere/c.txt")),
        await work.carry_out(call("update_file", "b.txt", " b\n+c\n")),
    ]
    assert [(answer["call_id"], answer["status"], answer["output"]) for answer in answers] == [
        ("c1", "completed", "Done.")
    ] * 4
    assert work.after == {"src/a.py": "one\nTWO\n", "b.txt": "b\r\nc\r\n", "src/new/d.py": "first\nsecond\n"}
    assert await work.diff() == snapshot(
        """\
diff --git a//elsewhere/c.txt b//elsewhere/c.txt
deleted file mode 100644
--- a//elsewhere/c.txt
+++ /dev/null
@@ -1 +0,0 @@
-c
diff --git a/b.txt b/b.txt
--- a/b.txt
+++ b/b.txt
@@ -1 +1,2 @@
 b\r
+c\r
diff --git a/src/a.py b/src/a.py
--- a/src/a.py
+++ b/src/a.py
@@ -1,2 +1,2 @@
 one
-two
+TWO
diff --git a/src/new/d.py b/src/new/d.py
new file mode 100644
--- /dev/null
+++ b/src/new/d.py
@@ -0,0 +1,2 @@
+first
+second
"""
    )


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (("update_file", "src/a.py", "@@\n absent\n+x\n"), "hunk"),
        (("update_file", "src/x.py", "@@\n one\n+x\n"), "there is no file 'src/x.py' here. The files are: "),
        (("create_file", "src/a.py", "+x\n"), "src/a.py exists already"),
        (("create_file", "new.py", "x\n"), "line 1"),
        (("delete_file", "src/x.py"), "there is no file"),
        (("rename_file", "src/a.py"), "'rename_file' is not an operation"),
        (("create_file", "../x", "+x\n"), "leaves the directory"),
        (("create_file", "a/../../x", "+x\n"), "leaves the directory"),
        (("create_file", "..\\x", "+x\n"), "leaves the directory"),
        (("create_file", "/etc/x", "+x\n"), "leaves the directory"),
        (("create_file", "/home/me/project/../x", "+x\n"), "leaves the directory"),
        (("create_file", "/home/me/project2/x", "+x\n"), "leaves the directory"),
        (("create_file", "~/x", "+x\n"), "leaves the directory"),
        (("create_file", "C:\\x", "+x\n"), "leaves the directory"),
        (("create_file", "a\nb", "+x\n"), "is not the path of a file"),
        (("create_file", "a\0b", "+x\n"), "is not the path of a file"),
        (("create_file", "", "+x\n"), "is not the path of a file"),
        (("create_file", ".", "+x\n"), "is not the path of a file"),
        (("create_file", None, None), "is not the path of a file"),
    ],
    ids=str,
)
async def test_what_cannot_be_done_is_answered_with_the_reason_and_changes_nothing(
    operation: tuple[Any, ...], reason: str
) -> None:
    work = desk()
    answer = await work.carry_out(call(*operation))
    assert answer["status"] == "failed"
    assert answer["output"].startswith("Nothing was changed: ")
    assert reason in answer["output"]
    assert (work.after, work.changed, await work.diff()) == (FILES, [], "")
    assert [work.operations[0].error in answer["output"], work.unresolved] == [True, work.operations]


@pytest.mark.parametrize(
    "path",
    ["src/a.py", "./src/a.py", "src//a.py", "src\\a.py", "/home/me/project/src/a.py", " src/a.py "],
)
async def test_a_known_file_is_found_by_every_spelling_of_its_name(path: str) -> None:
    work = desk()
    await work.carry_out(call("update_file", path, "@@\n one\n+x\n"))
    assert (work.changed, work.operations[0].path) == (["src/a.py"], "src/a.py")


async def test_a_file_may_be_deleted_and_made_anew_and_what_comes_to_nothing_is_no_change() -> None:
    work = desk(a="one\n")
    for operation in (("delete_file", "a"), ("create_file", "a", "+one\n"), ("create_file", "b", "+x\n")):
        await work.carry_out(call(*operation))
    await work.carry_out(call("delete_file", "b"))
    assert (work.after, work.changed, work.unresolved) == ({"a": "one\n"}, [], [])


async def test_a_failure_is_resolved_by_a_later_success_on_the_same_file() -> None:
    work = desk(a="one\n", b="two\n")
    for path, diff in (("a", " no\n+x\n"), ("b", " no\n+x\n"), ("./a", " one\n+x\n")):
        await work.carry_out(call("update_file", path, diff))
    assert [operation.path for operation in work.unresolved] == ["b"]


async def test_who_admits_has_the_last_word() -> None:
    async def nobody(name: str, text: str | None) -> None:
        raise PatchError(f"not {name} as {text!r}")

    work = PatchSession({"a": "one\n"}, root="/r", admit=nobody)
    assert await work.carry_out(call("update_file", "a", " one\n+x\n")) == {
        "call_id": "c1",
        "status": "failed",
        "output": "Nothing was changed: not a as 'one\\nx\\n'",
    }
    assert work.after == work.before


async def test_a_guess_is_told_to_the_model_and_in_the_operation() -> None:
    work = desk(a="  one\ntwo\n")
    answer = await work.carry_out(call("update_file", "a", "@@\n one\n+x\n"))
    assert (answer["output"], work.operations[0].as_dict("previewed")) == snapshot(
        (
            "Done. Hunk 1 was applied at line 1 by ignoring indentation.",
            {
                "type": "update_file",
                "path": "a",
                "status": "previewed",
                "notes": ["Hunk 1 was applied at line 1 by ignoring indentation."],
            },
        )
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "apply_patch_call", "call_id": "c"},
        {"type": "apply_patch_call", "call_id": "c", "operation": "x"},
        {"type": "apply_patch_call", "call_id": "c", "operation": {}},
        {"type": "function_call", "call_id": "c", "name": "rm"},
        {"type": "shell_call", "call_id": "c"},
        {"type": "mcp_approval_request", "approval_request_id": "c"},
    ],
    ids=str,
)
async def test_odd_calls_are_answered_and_change_nothing(odd: dict[str, Any]) -> None:
    work = desk()
    answer = await work.carry_out(odd)
    assert "c" in answer.values()
    assert work.changed == []


async def test_a_large_file_is_patched_off_the_event_loop_with_the_same_result() -> None:
    text = "".join(f"line {number}\n" for number in range(20_000))
    work = desk(a=text)
    await work.carry_out(call("update_file", "a", "@@\n-line 7000\n+line seven thousand\n"))
    assert work.after["a"] == text.replace("line 7000\n", "line seven thousand\n")


@given(st.text(max_size=30))
async def test_no_path_whatever_makes_a_name_that_leaves_the_directory(path: str) -> None:
    work = desk()
    await work.carry_out(call("create_file", path, "+x\n"))
    for name in work.after.keys() - FILES.keys():
        assert not name.startswith("/")
        assert ".." not in name.split("/")


@pytest.mark.parametrize(
    "operation",
    [
        {},
        {"type": "update_file"},
        {"type": ["update_file"], "path": {"a": 1}, "diff": 3},
        {"type": "create_file", "path": 5, "diff": None},
        {"type": None, "path": None},
        "text",
        None,
        {"type": "delete_file", "path": "\ud800"},
        {"type": "create_file", "path": "x" * 5000, "diff": "+x\n"},
    ],
)
async def test_an_operation_of_an_odd_shape_is_answered_as_failed_and_can_be_told(operation: Any) -> None:
    work = PatchSession({"a": "one\n"}, root="/r", admit=too_long)
    answer = await work.carry_out({"type": "apply_patch_call", "call_id": "c", "operation": operation})
    assert answer["status"] == "failed"
    (told,) = [operation.as_dict("previewed") for operation in work.operations]
    assert {"type", "path", "status", "error"} <= told.keys()
    assert work.after == {"a": "one\n"}
    assert len(told["path"].encode()) < 13_000


async def too_long(name: str, text: str | None) -> None:
    if len(name) > 255:
        raise PatchError("the name is too long")


async def test_a_name_is_known_without_the_kind_of_its_spaces_and_accents() -> None:
    work = desk(**{"at\u202f9 re\u0301sume\u0301.txt": "one\n"})
    answer = await work.carry_out(call("update_file", "at 9 résumé.txt", "@@\n-one\n+two\n"))
    assert answer["status"] == "completed"
    assert work.after == {"at\u202f9 re\u0301sume\u0301.txt": "two\n"}
