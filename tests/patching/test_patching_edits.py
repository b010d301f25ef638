"""Thousands of generated edits give the text that they should, whatever the file's endings, and agree with an
independent implementation."""

import pytest
from agents import apply_diff as reference_apply_diff
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from databricks_responses_mcp.patching import Match, PatchError, PatchResult, apply_diff
from patching.v4a_edits import Edit, edits, text_of

quick = settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
deep = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))


def reference(text: str, diff: str) -> str | None:
    """Return the result of the Agents SDK; None if it refuses the diff."""
    try:
        return reference_apply_diff(text, diff)
    except ValueError:
        return None


def applied_or_refused(text: str, diff: str) -> PatchResult | PatchError:
    try:
        return apply_diff(text, diff)
    except PatchError as error:
        return error


def check_unique(edit: Edit) -> None:
    result = apply_diff(text_of(edit.before), edit.v4a())
    assert (result.text, result.fuzz, result.notes) == (text_of(edit.after), Match.EXACT, [])
    assert reference(text_of(edit.before), edit.v4a()) == result.text


@quick
@given(edits(unique=True))
def test_edits_of_unique_lines_apply_exactly_and_as_in_the_agents_sdk(edit: Edit) -> None:
    check_unique(edit)


@pytest.mark.slow
@deep
@given(edits(unique=True, most=200))
def test_many_edits_of_unique_lines_apply_exactly(edit: Edit) -> None:
    check_unique(edit)


def check_repeats(edit: Edit, context: int, *, end_marks: bool) -> None:
    diff = edit.v4a(context=context, end_marks=end_marks)
    before = text_of(edit.before)
    expected = reference(before, diff)
    result = applied_or_refused(before, diff)
    if isinstance(result, PatchError):
        assert expected is None or "nothing says where" in str(result)
        return
    if not result.notes:
        assert result.text == text_of(edit.after)
    if expected is not None:
        assert result.text == expected


@quick
@given(edits(unique=False), st.integers(0, 3), st.booleans())
def test_edits_of_repeated_lines_apply_as_in_the_agents_sdk_or_with_a_note(
    edit: Edit, context: int, end_marks: bool
) -> None:
    check_repeats(edit, context, end_marks=end_marks)


@pytest.mark.slow
@deep
@given(edits(unique=False), st.integers(0, 3), st.booleans())
def test_many_edits_of_repeated_lines_apply_as_in_the_agents_sdk(edit: Edit, context: int, end_marks: bool) -> None:
    check_repeats(edit, context, end_marks=end_marks)


@quick
@given(
    edits(unique=True), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans()
)
def test_line_endings_the_final_newline_and_a_byte_order_mark_are_kept(
    edit: Edit, file_newline: str, diff_newline: str, final: bool, bom: bool
) -> None:
    before, after = text_of(edit.before, file_newline), text_of(edit.after, file_newline)
    assume(edit.before)  # an empty file has no line endings
    if not final:
        before, after = before.removesuffix(file_newline), after.removesuffix(file_newline)
        assume(len(edit.before) > 1)
    mark = "\ufeff" if bom else ""
    diff = edit.v4a().replace("\n", diff_newline)
    assert apply_diff(mark + before, diff).text == mark + after


@quick
@given(edits(unique=True), st.data())
def test_unchanged_lines_keep_their_own_endings(edit: Edit, data: st.DataObject) -> None:
    endings = data.draw(st.lists(st.sampled_from(["\n", "\r\n"]), min_size=len(edit.before), max_size=len(edit.before)))
    before = "".join(line + ending for line, ending in zip(edit.before, endings, strict=True))
    result = apply_diff(before, edit.v4a()).text.split("\n")[:-1]
    assert [line.removesuffix("\r") for line in result] == edit.after
    for tag, from1, to1, from2, to2 in edit.spans:
        if tag == "equal":
            kept = ["\r" if ending == "\r\n" else "" for ending in endings[from1:to1]]
            assert [line[len(line.removesuffix("\r")) :] for line in result[from2:to2]] == kept


TYPOGRAPHY = {"'": "\u2019", '"': "\u201c", "-": "\u2013", " ": "\u00a0"}


@quick
@given(edits(unique=True), st.sampled_from(list(Match)))
def test_inexact_context_still_fits_and_the_file_keeps_its_own_text(edit: Edit, match: Match) -> None:
    careless = []
    for line in edit.v4a().split("\n")[:-1]:
        kind, body = line[:1], line[1:]
        if kind in {" ", "-"}:
            if match is Match.TRAILING_WHITESPACE:
                body += " \t"
            elif match is Match.SURROUNDING_WHITESPACE:
                body = f"   {body}"
            elif match is Match.PUNCTUATION:
                body = "".join(TYPOGRAPHY.get(character, character) for character in body)
        careless.append(f"{kind}{body}\n")
    result = apply_diff(text_of(edit.before), "".join(careless))
    assert result.text == text_of(edit.after)
    assert result.fuzz <= match


@quick
@given(st.data())
def test_anchors_choose_among_identical_blocks(data: st.DataObject) -> None:
    classes, methods = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    lines: list[str] = []
    places: dict[tuple[int, int], int] = {}
    for a in range(classes):
        lines.append(f"class C{a}:")
        for b in range(methods):
            places[a, b] = len(lines) + 1
            lines += [f"    def m{b}(self):", "        first()", "        second()", ""]
    chosen = sorted(data.draw(st.sets(st.sampled_from(sorted(places)), min_size=1)))
    diff = "".join(
        f"@@ class C{a}:\n@@     def m{b}(self):\n         first()\n-        second()\n+        changed({a}, {b})\n"
        for a, b in chosen
    )
    after = list(lines)
    for a, b in chosen:
        after[places[a, b] + 1] = f"        changed({a}, {b})"
    result = apply_diff(text_of(lines), diff)
    assert (result.text, result.notes) == (text_of(after), [])
    assert reference(text_of(lines), diff) == result.text
    partial = diff.replace("(self):", "").replace(":", "")
    assert apply_diff(text_of(lines), partial).text == text_of(after)
