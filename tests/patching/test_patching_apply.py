"""The effect of a V4A diff on a text, case by case."""

import textwrap

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.patching import AppliedHunk, Match, PatchError, PatchResult, apply_diff

CODE = """\
class A:
    def f(self):
        x = 1
        return x

    def g(self):
        return 2

class B(A):
    def f(self):
        x = 1
        return x
"""


def test_a_hunk_replaces_the_lines_that_it_removes_and_reports_their_place() -> None:
    assert apply_diff("a\nb\nc\n", " a\n-b\n+B\n c\n") == PatchResult("a\nB\nc\n", (AppliedHunk(number=1, line=1),))


def test_hunks_apply_in_order_each_below_the_previous_one() -> None:
    result = apply_diff("x\nx\nx\n", "@@\n-x\n+1\n@@\n-x\n+2")
    assert result.text == "1\n2\nx\n"
    assert result.notes == [
        "Hunk 1 was applied at line 1; its context also fits at lines 2, 3.",
        "Hunk 2 was applied at line 2; its context also fits at line 3.",
    ]


def test_anchors_select_the_method_of_a_class() -> None:
    diff = "@@ class B\n@@ def f\n-        x = 1\n+        x = 2\n"
    result = apply_diff(CODE, diff)
    assert result.text == CODE[:-36] + CODE[-36:].replace("x = 1", "x = 2")
    assert result.notes == []


def test_an_anchor_whose_block_contains_the_previous_hunk_is_not_searched_again() -> None:
    diff = "@@ class A:\n@@     def f(self):\n-        x = 1\n+        x = 3\n"
    diff += "@@ def f(self):\n-        return x\n+        return 3\n"
    assert apply_diff(CODE, diff).text == CODE.replace("x = 1\n        return x", "x = 3\n        return 3", 1)


def test_an_anchor_above_the_previous_hunk_selects_its_next_occurrence() -> None:
    diff = (
        "@@ def g(self):\n-        return 2\n+        return 3\n@@ def f(self):\n-        return x\n+        return 4\n"
    )
    assert apply_diff(CODE, diff).text.endswith(
        "        return 3\n\nclass B(A):\n    def f(self):\n        x = 1\n        return 4\n"
    )


def test_a_hunk_may_repeat_the_line_of_its_anchor() -> None:
    diff = "@@     def g(self):\n     def g(self):\n-        return 2\n+        return 3\n"
    assert apply_diff(CODE, diff).text == CODE.replace("return 2", "return 3")


def test_a_missing_anchor_is_ignored_if_exactly_one_place_fits() -> None:
    result = apply_diff(CODE, "@@ def h(self):\n-        return 2\n+        return 3\n")
    assert result.text == CODE.replace("return 2", "return 3")
    assert result.notes == snapshot(
        ["Hunk 1 was applied at line 7: the anchor 'def h(self):' was not found, but the context fits in one place."]
    )


def test_hunks_may_share_the_context_between_them() -> None:
    assert apply_diff("a\nb\nc\nd\ne\n", "@@\n a\n-b\n+B\n c\n@@\n c\n-d\n+D\n e\n").text == "a\nB\nc\nD\ne\n"


def test_a_numbered_header_chooses_the_nearest_of_several_places() -> None:
    text = "a\nx\n" * 10
    result = apply_diff(text, "--- a/f\n+++ b/f\n@@ -11,2 +11,2 @@ def f():\n a\n-x\n+y\n")
    assert result.text == "a\nx\n" * 5 + "a\ny\n" + "a\nx\n" * 4
    assert result.hunks[0].line == 11


@pytest.mark.parametrize(
    ("text", "diff", "expected"),
    [
        ("a\nb\n", "@@ a\n+n\n", "a\nn\nb\n"),
        ("a\nb\n", "@@\n+n\n*** End of File\n", "a\nb\nn\n"),
        ("a\nb", "@@\n+n\n*** End of File", "a\nb\nn"),
        ("a\nb\n", "@@\n+n\n a\n", "n\na\nb\n"),
        ("", "+n\n", "n\n"),
        ("", "@@\n+n\n+m\n*** End of File\n", "n\nm\n"),
        ("a\n", " a\n \n+n\n", "a\n\nn\n"),
    ],
    ids=[
        "anchor",
        "end",
        "end without newline",
        "context below",
        "empty file",
        "empty file at end",
        "blank line at end",
    ],
)
def test_added_lines_are_placed_by_context_anchor_or_end_mark(text: str, diff: str, expected: str) -> None:
    assert apply_diff(text, diff).text == expected


def test_the_end_mark_selects_the_last_place_that_fits() -> None:
    result = apply_diff("a\nx\na\nx\n", " a\n-x\n+y\n*** End of File")
    assert (result.text, result.notes) == ("a\nx\na\ny\n", [])
    result = apply_diff("a\nx\nb\n", " a\n-x\n+y\n*** End of File")
    assert (result.text, result.notes) == snapshot(
        (
            """\
a
y
b
""",
            ['Hunk 1 was applied at line 1: "*** End of File" was given, but its context is not at the end.'],
        )
    )


@pytest.mark.parametrize(
    ("text", "diff", "expected"),
    [
        ("a\nb", "-b\n+c\n", "a\nc"),
        ("a\nb", " b\n+c\n", "a\nb\nc"),
        ("a\nb", "-b\n\\ No newline at end of file\n+c\n", "a\nc\n"),
        ("a\nb\n", "-b\n+c\n\\ No newline at end of file\n", "a\nc"),
        ("a\nb", "-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n", "a\nc"),
        ("a\nb\n", "-b\n", "a\n"),
        ("a\nb", "-b\n", "a"),
        ("a\nb\n", "-a\n-b\n", ""),
        ("a\nb", " b\n+\n", "a\nb\n"),
    ],
)
def test_the_final_newline_is_kept_unless_the_diff_changes_it(text: str, diff: str, expected: str) -> None:
    assert apply_diff(text, diff).text == expected


def test_added_lines_have_the_ending_of_the_lines_that_they_replace() -> None:
    result = apply_diff("a\r\nb\nc\r\nd", "@@\n-a\n+A\n b\n-c\n+C1\n+C2\n d\n+e\n")
    assert result.text == "A\r\nb\nC1\r\nC2\r\nd\r\ne"


def test_a_byte_order_mark_is_kept_unless_the_diff_removes_it() -> None:
    assert apply_diff("\ufeffa\nb\n", "-a\n+A\n").text == "\ufeffA\nb\n"
    assert apply_diff("\ufeffa\nb\n", " \ufeffa\n-b\n+B\n").text == "\ufeffa\nB\n"
    assert apply_diff("\ufeffa\nb\n", "-\ufeffa\n+a\n").text == "a\nb\n"


def test_only_line_feeds_end_lines() -> None:
    text = "a\x0cb\x0bc\x1cd\x85e\u2028f\rg\nnext\n"
    assert apply_diff(text, f" {text[:-6]}\n-next\n+done\n").text == text.replace("next", "done")


@pytest.mark.parametrize(
    ("line", "context", "match"),
    [
        ("  a = 1", "  a = 1", Match.EXACT),
        ("  a = 1  \t", "  a = 1", Match.TRAILING_WHITESPACE),
        ("\ta = 1", "    a = 1", Match.SURROUNDING_WHITESPACE),
        ("say(\u201chi\u201d \u2013 \u2018x\u2019\u00a0\u2026)", "say(\"hi\" - 'x' ...)", Match.PUNCTUATION),
    ],
)
def test_context_is_compared_increasingly_leniently_and_the_file_keeps_its_own_text(
    line: str, context: str, match: Match
) -> None:
    result = apply_diff(f"{line}\nb\n", f" {context}\n-b\n+c\n")
    assert (result.text, result.fuzz) == (f"{line}\nc\n", match)
    assert len(result.notes) == (match is not Match.EXACT)


def test_an_exact_match_further_down_is_preferred_to_a_lenient_one() -> None:
    assert apply_diff("  a\na\n", "-a\n+b\n").text == "  a\nb\n"


def test_blank_lines_around_hunks_are_ignored() -> None:
    assert apply_diff("a\nb\nc\nd\n", "\n@@\n-a\n+A\n\n@@\n-d\n+D\n\n\n").text == "A\nb\nc\nD\n"
    assert apply_diff("a\n\nb\n", " a\n\n-b\n+c\n").text == "a\n\nc\n"


def test_an_empty_diff_changes_nothing() -> None:
    assert apply_diff("a\r\nb", "") == PatchResult("a\r\nb")
    assert apply_diff("a\r\nb", " a\n").text == "a\r\nb"


def test_an_envelope_around_the_diff_of_one_file_is_removed() -> None:
    diff = "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** End Patch\n"
    assert apply_diff("a\n", diff).text == "b\n"
    assert apply_diff("a\n", "@@\n-a\n+b\n*** End Patch\n").text == "b\n"
    assert apply_diff("", "*** Begin Patch\n*** Add File: f\n+b\n*** End Patch", "create").text == "b\n"


@pytest.mark.parametrize(
    ("diff", "expected"),
    [
        ("", ""),
        ("+a\n+b\n", "a\nb\n"),
        ("+a\n+b", "a\nb\n"),
        ("+a\n+", "a\n\n"),
        ("+a\n\n+b\n\n", "a\n\nb\n"),
        ("+a\r\n+b\r\n", "a\r\nb\r\n"),
        ("+a\n\\ No newline at end of file\n", "a"),
        ("@@\n+a\n*** End of File\n", "a\n"),
        ("--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n", "a\n"),
        ("++a\n+-b\n+ c\n", "+a\n-b\n c\n"),
    ],
)
def test_a_new_file_has_the_added_lines(diff: str, expected: str) -> None:
    assert apply_diff("ignored", diff, "create").text == expected


REFUSED = {
    "context that is not there": "@@ class A:\n     def g(self):\n-        return 7\n+        return 8\n",
    "a similar line": "-        retrun 2\n+        return 3\n",
    "several places and no anchor": "@@ def zz\n-        return x\n+        return y\n",
    "wrong order": "@@\n-        return 2\n+        return 3\n@@\n-class A:\n+class C:\n",
    "anchor above": "@@     def g(self):\n+        pass\n@@ class A:\n+    z = 1\n",
    "done before": "-    def h(self):\n+    def g(self):\n",
    "above its anchor": "@@ class B(A):\n-        return 2\n+        return 3\n",
    "no place": "@@\n+import os\n",
    "no prefix": "@@\n class A:\nfoo\n",
    "no body": "@@ class A:\n",
    "after the end": "@@\n+x\n*** End of File\n+y\n",
    "two files": "*** Begin Patch\n*** Delete File: a\n*** Delete File: b\n*** End Patch",
    "another operation": "*** Begin Patch\n*** Add File: a\n+b\n*** End Patch",
}


def refusal(diff: str) -> str:
    with pytest.raises(PatchError) as caught:
        apply_diff(CODE, diff)
    return str(caught.value)


def test_a_refusal_says_what_to_correct() -> None:
    told = [textwrap.fill(f"{name}: {refusal(diff)}", 110, break_on_hyphens=False) for name, diff in REFUSED.items()]
    assert "\n\n".join(told) + "\n" == snapshot("""\
context that is not there: hunk 1 (line 1 of the diff) does not fit: its context was not found below its
anchor 'class A:' (line 1). Near: line 6 of the file has 1 of its 2 lines; where the diff expects '
return 7', the file has '        return 2' (line 7). Copy context lines from the file as it is now, and add an
anchor or more context where lines repeat.

a similar line: hunk 1 (line 1 of the diff) does not fit: its context was not found. No line of the file is '
retrun 2'; the most similar is line 7, '        return 2'. Copy context lines from the file as it is now, and
add an anchor or more context where lines repeat.

several places and no anchor: hunk 1 (line 1 of the diff) does not fit: its anchor 'def zz' was not found, and
its context fits at several lines (4, 12). Copy context lines from the file as it is now, and add an anchor or
more context where lines repeat.

wrong order: hunk 2 (line 4 of the diff) does not fit: its context was not found. It would fit at line 1,
above the end of the hunk before it (line 7): hunks must be in the order of the file and must not overlap.

anchor above: hunk 2 (line 3 of the diff) does not fit: its anchor 'class A:' was not found below line 6.
'class A:' is at line 1, above the end of the hunk before it (line 6): hunks must be in the order of the file.

done before: hunk 1 (line 1 of the diff) does not fit: its context was not found. The file already has the new
lines at line 6: this change may have been made before.

above its anchor: hunk 1 (line 1 of the diff) does not fit: its context was not found below its anchor 'class
B(A):' (line 9). It would fit at line 7, which is not below the anchor: correct the anchor or leave it out.

no place: hunk 1 (line 1 of the diff) only adds lines and nothing says where: give a line of context before or
after them, an anchor ("@@ " and a whole line of the file), or "*** End of File" below them.

no prefix: line 3 of the diff cannot be read: it is 'foo'; every line of a section must begin with a space
(context), "-" (removed) or "+" (added), and every section with "@@".

no body: the section at line 1 of the diff ('@@ class A:') has no lines: give the lines to change, each
beginning with a space, "-" or "+".

after the end: line 4 of the diff cannot be read: after "*** End of File" only a new "@@" section may follow,
not '+y'.

two files: the diff of one operation must be of one file, but it names 2 (a, b).

another operation: the operation is update_file, but its diff holds create_file.
""")


def test_a_refusal_has_the_most_similar_places_as_data() -> None:
    with pytest.raises(PatchError) as caught:
        apply_diff(
            CODE,
            "@@\n-class A:\n+class Z:\n@@\n     def f(self):\n         x = 1\n-        return y\n+        return z\n",
        )
    error = caught.value
    assert (error.hunk, error.diff_line) == (2, 4)
    assert [(place.line, place.matched, place.total) for place in error.candidates] == [(2, 2, 3), (10, 2, 3)]


def test_a_new_file_with_other_lines_is_refused() -> None:
    with pytest.raises(PatchError, match=r"^line 2 of the diff is 'b', but every line of a new file must begin"):
        apply_diff("", "+a\nb\n", "create")
