"""Patches of several files are parsed into operations."""

import textwrap

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.patching import Operation, PatchError, parse_diff, parse_patch

PATCH = """\
*** Begin Patch
*** Add File: hello world.txt
+Hello
+*** End Patch
*** Update File: src/app.py
*** Move to: src/main.py
@@ def greet():
-print("Hi")
+print("Hello")
 *** Update File: quoted
*** End of File
*** Delete File: old.txt
*** Update File: only/renamed.py
*** Move to: only/moved.py
*** End Patch
"""
OPERATIONS = [
    Operation("create_file", "hello world.txt", "+Hello\n+*** End Patch\n"),
    Operation(
        "update_file",
        "src/app.py",
        '@@ def greet():\n-print("Hi")\n+print("Hello")\n *** Update File: quoted\n*** End of File\n',
        "src/main.py",
    ),
    Operation("delete_file", "old.txt"),
    Operation("update_file", "only/renamed.py", "", "only/moved.py"),
]


@pytest.mark.parametrize(
    "text",
    [
        PATCH,
        PATCH.rstrip("\n"),
        f"\n\n{PATCH}\n\n",
        f"```diff\n{PATCH}```\n",
        f"apply_patch <<'EOF'\n{PATCH}EOF\n",
        PATCH.replace("*** Begin Patch\n", "*** Begin Patch\n*** Environment ID: 7\n"),
        PATCH.replace("*** Begin Patch\n", "").replace("*** Delete File: old.txt\n", "*** Delete File: old.txt\n\n"),
    ],
    ids=["plain", "no final newline", "blank lines", "fence", "here-document", "environment", "no envelope"],
)
def test_a_patch_is_parsed_into_its_operations_in_order(text: str) -> None:
    assert parse_patch(text) == OPERATIONS


def test_a_patch_may_have_either_kind_of_line_ending() -> None:
    operations = parse_patch(PATCH.replace("\n", "\r\n"))
    assert [(item.type, item.path, item.move_to) for item in operations] == [
        (item.type, item.path, item.move_to) for item in OPERATIONS
    ]
    assert parse_diff(operations[1].diff) == parse_diff(OPERATIONS[1].diff)


def test_a_blank_context_line_at_the_end_of_a_section_is_kept() -> None:
    patch = "*** Begin Patch\n*** Update File: a\n-x\n+y\n \n\n*** Delete File: b\n*** End Patch"
    assert parse_patch(patch)[0].diff == "-x\n+y\n \n"


REFUSED = {
    "nothing": "",
    "empty envelope": "*** Begin Patch\n*** End Patch",
    "cut off": "*** Begin Patch\n*** Update File: a\n-x\n+y",
    "words": "Here is the patch:\n*** Begin Patch\n*** Delete File: a\n*** End Patch",
    "words after": "*** Begin Patch\n*** Delete File: a\n*** End Patch\nDone!",
    "no path": "*** Begin Patch\n*** Delete File: \n*** End Patch",
    "no path to move to": "*** Begin Patch\n*** Update File: a\n*** Move to:\n*** End Patch",
    "deletion with lines": "*** Begin Patch\n*** Delete File: a\n-x\n*** End Patch",
    "update without changes": "*** Begin Patch\n*** Update File: a\n\n*** End Patch",
    "lines before a file": "*** Begin Patch\n-x\n*** End Patch",
}


def refusal(text: str) -> str:
    with pytest.raises(PatchError) as caught:
        parse_patch(text)
    return str(caught.value)


def test_a_refused_patch_says_what_to_correct() -> None:
    told = [textwrap.fill(f"{name}: {refusal(text)}", 110, break_on_hyphens=False) for name, text in REFUSED.items()]
    assert "\n".join(told) + "\n" == snapshot("""\
nothing: the patch names no file to add, update or delete (it does not begin with "*** Begin Patch").
empty envelope: the patch names no file to add, update or delete.
cut off: the patch has no "*** End Patch" line: it may have been cut off. Send it whole.
words: line 1 of the patch is 'Here is the patch:', where a "*** Add File: ", "*** Update File: " or "***
Delete File: " line with a path must be.
words after: nothing may follow "*** End Patch", but line 4 of the patch is 'Done!'.
no path: line 2 of the patch names no path.
no path to move to: line 3 of the patch names no path to move to.
deletion with lines: line 2 of the patch deletes a file, so no lines may follow it.
update without changes: line 2 of the patch updates a but gives no changes.
lines before a file: line 2 of the patch is '-x', where a "*** Add File: ", "*** Update File: " or "*** Delete
File: " line with a path must be.
""")
