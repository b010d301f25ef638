"""Random YAML texts: everything around the entry is kept."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing import Named, Place, read_entry, remove_entry, set_entry

few = settings(max_examples=10, deadline=None)

IN_MAPPING: Place = ("extensions", "databricks")
IN_LIST: Place = ("extensions", Named("name", "databricks"))

words = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff"), max_size=6),
    st.sampled_from(
        [
            "yes",
            "1.0",
            "2001-01-01",
            "0x1",
            "null",
            "~",
            "# c",
            "a: b",
            "- a",
            "a\nb\n",
            "\t",
            "x" * 300,
            "1:30",
            "é",
            "=",
        ]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(10**12), 10**12), words)
keys = st.one_of(st.sampled_from(["command", "args", "name ", "a.b"]), words.filter(lambda word: len(word) < 100))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
entries = st.dictionaries(keys, values, min_size=1, max_size=4)
leaves = st.sampled_from(
    [
        "1", "a  b", "'#'", '"x: y"', "", "~", "{}", "[]", "{a: 1, }", "[a, {b: c}]  # c", "x # c", "&anchor v",
        "a folded\n{0}  word", "!tag v", "{{a: [\n{0}  b]}}",
    ]
)  # fmt: skip
blocks = st.sampled_from(
    ["|\n{0}  b # no\n{0}   c\n", ">-\n{0}  b\n\n{0}  c\n", "|+\n{0}  b\n\n\n", "|\n{0}  extensions:\n\n"]
)


class Writer:
    """Writes mappings line by line, in a layout that is drawn at random."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.unit = " " * draw(st.sampled_from([1, 2, 2, 4]))
        self.dash = " " * draw(st.sampled_from([0, 2, 3]))
        self.count = 0

    def note(self, indent: str) -> str:
        return self.draw(st.sampled_from(["", "", "", f"{indent}# c\n", "\n", "# c\n", f"\n{indent}# c\n\n"]))

    def key(self) -> str:
        self.count += 1
        return self.draw(st.sampled_from(["k{}", "'k{}'", '"k {}"'])).format(self.count)

    def mapping(self, indent: str, depth: int) -> str:
        lines = [self.pair(indent, depth) for _ in range(self.draw(st.integers(1, 3)))]
        return "".join(lines)

    def pair(self, indent: str, depth: int) -> str:
        return self.note(indent) + f"{indent}{self.key()}:{self.value(indent, depth)}" + self.note(indent)

    def value(self, indent: str, depth: int) -> str:
        kind = self.draw(st.integers(0, 4 if depth else 2))
        if kind < 2:
            leaf = self.draw(leaves)
            if leaf.startswith("&"):
                leaf = leaf.replace("anchor", f"a{self.count}")
            return (" " + (leaf.format(indent) if "{0}" in leaf else leaf)).rstrip() + "\n"
        if kind == 2:
            return " " + self.draw(blocks).format(indent)
        comment = self.draw(st.sampled_from(["", " # c"]))
        if kind == 3:
            return f"{comment}\n{self.mapping(indent + self.unit, depth - 1)}"
        dash = indent + self.dash
        return f"{comment}\n" + "".join(self.item(dash, depth) for _ in range(self.draw(st.integers(1, 2))))

    def item(self, dash: str, depth: int) -> str:
        if self.draw(st.booleans()):
            return f"{dash}- {self.draw(st.sampled_from(['a', '{x: y}', '- b']))}\n"
        inner = self.mapping(dash + "  ", depth - 1)
        first = next(line for line in inner.splitlines() if line.strip() and not line.strip().startswith("#"))
        inner = inner[inner.index(first) :]
        return f"{dash}- {inner[len(dash) + 2 :]}"


@st.composite
def documents(draw: st.DrawFn, *, listed: bool) -> str:
    """Draw a text without the entry; its parent may be missing, null, empty, in flow style or in block style."""
    writer = Writer(draw)
    text = draw(st.sampled_from(["", "# top\n", "---\n", "# top\n---\n"]))
    text += draw(st.sampled_from(["", *[writer.mapping("", 2)] * 3]))
    parent = draw(st.sampled_from(["none", "null", "tilde", "empty", "flow", "block", "block", "block"]))
    if parent != "none":
        text += writer.note("") + "extensions:"
    if parent == "block":
        if listed:
            text += "\n" + "".join(writer.item(writer.dash, 1) for _ in range(draw(st.integers(1, 2))))
        else:
            text += "\n" + writer.mapping(writer.unit, 1)
    elif parent == "flow":
        text += draw(st.sampled_from([" [{x: y}]", " [{x: y}, ]"] if listed else [" {x: y}", " {x: y, }"])) + "\n"
    else:
        text += {"none": "", "null": " # c\n", "tilde": " ~\n", "empty": " [] # c\n" if listed else " {} # c\n"}[parent]
    text += (
        writer.note("") + draw(st.sampled_from(["", writer.mapping("", 1)])) + draw(st.sampled_from(["", "# end\n"]))
    )
    # A line ending after a block scalar at the end of the file would be part of it: that is refused, see below.
    if "|" not in text and draw(st.booleans()):
        text = text.removesuffix("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def parsed(text: str) -> Any:
    return read_entry(text, "yaml", ())


def without_entry(text: str, place: Place) -> Any:
    data = dict(parsed(text) or {})
    last = place[-1]
    inside = data.pop("extensions", None) or []
    if isinstance(last, Named):
        return data, [one for one in inside if not (isinstance(one, dict) and one.get(last.key) == last.value)]
    return data, {key: value for key, value in dict(inside).items() if key != last}


def normalized(text: str) -> str:
    """Return the text without whitespace and without an empty value of the entry's parent."""
    text = re.sub(r"(?m)^(extensions:)[ \t]*(~|\[\]|\{\})", r"\1", text)
    return re.sub(r",(?=[}\]])", "", re.sub(r"\s", "", text))


def kept(old: str, new: str) -> bool:
    rest = iter(new)
    return all(character in rest for character in normalized(old))


@few
@pytest.mark.parametrize("place", [IN_MAPPING, IN_LIST], ids=["mapping", "list"])
@given(data=st.data(), entry=entries, other=entries)
def test_an_entry_is_set_replaced_and_removed_and_everything_else_is_kept(
    place: Place, data: st.DataObject, entry: dict[str, Any], other: dict[str, Any]
) -> None:
    text = data.draw(documents(listed=place is IN_LIST))
    named = {"name": "databricks"} if place is IN_LIST else {}
    entry, other = {**named, **entry}, {**named, **other}
    after = set_entry(text, "yaml", place, entry)
    assert read_entry(after, "yaml", place) == entry
    assert without_entry(after, place) == without_entry(text, place)
    assert kept(text, after)
    assert set_entry(after, "yaml", place, entry) == after

    replaced = set_entry(after, "yaml", place, other)
    assert read_entry(replaced, "yaml", place) == other
    assert without_entry(replaced, place) == without_entry(text, place)
    assert kept(text, replaced)

    back = remove_entry(replaced, "yaml", place)
    assert read_entry(back, "yaml", place) is None
    assert without_entry(back, place) == without_entry(text, place)
    assert normalized(back).replace("extensions:", "") == normalized(text).replace("extensions:", "")


@few
@given(entries)
def test_parsers_of_other_yaml_versions_read_the_same(entry: dict[str, Any]) -> None:
    after = set_entry("", "yaml", IN_MAPPING, entry)
    assert yaml.safe_load(after) == {"extensions": {"databricks": entry}}


@few
@given(entries)
def test_json_is_yaml_too(entry: dict[str, Any]) -> None:
    text = json.dumps({"extensions": {"x": 1}, "z": 2}, indent=2)
    after = set_entry(text, "yaml", IN_MAPPING, entry)
    assert without_entry(after, IN_MAPPING) == without_entry(text, IN_MAPPING)
    assert read_entry(after, "yaml", IN_MAPPING) == entry


@few
@given(st.text("{}[]:,-#&*!|>'\"%@`ab1 \n\r\t~.?", max_size=24))
def test_garbage_is_refused_or_edited_without_a_crash(text: str) -> None:
    try:
        after = set_entry(text, "yaml", IN_MAPPING, {"command": "uvx"})
    except BridgeError:
        return
    assert read_entry(after, "yaml", IN_MAPPING) == {"command": "uvx"}


def test_a_block_scalar_at_the_end_of_the_file_is_not_extended() -> None:
    with pytest.raises(BridgeError):
        set_entry("rules: |\n  be brief", "yaml", IN_MAPPING, {"command": "uvx"})
