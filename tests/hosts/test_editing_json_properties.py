"""Random JSON texts as people write them: everything around the entry is kept."""

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing import Place, read_entry, remove_entry, set_entry

PLACE: Place = ("mcpServers", "databricks")
STANDS = '"@@the entry that stands@@"'
few = settings(max_examples=15, deadline=None)
COMMENT = re.compile(r"//c\d+|/\*c\d+[\s\S]*?\*/")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    st.sampled_from(["// no comment", "/* nor this */", "{", "}", ",", '"', "\\", "'", "\u2028"]),
)
keys = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=4), st.sampled_from(["a", "b", "mcpServers"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
entries = st.dictionaries(keys, values, min_size=1, max_size=4)


class Writer:
    """Writes data in a layout that is drawn at random for each part."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.newline = draw(st.sampled_from(["\n", "\r\n"]))
        self.unit = draw(st.sampled_from(["  ", "    ", "\t", " "]))
        self.comments = draw(st.booleans())
        self.liberties = draw(st.booleans())
        self.count = 0

    def gap(self, indent: str) -> str:
        kind = self.draw(st.integers(0, 7 if self.comments else 4))
        self.count += 1
        if kind == 5:
            return f" //c{self.count}{self.newline}{indent}"
        if kind == 6:
            return f"{self.newline}{indent}/*c{self.count}{self.newline} , }} */ "
        if kind == 7:
            return f"/*c{self.count}*/"
        return ["", " ", self.newline + indent, self.newline + indent, self.newline * 2 + indent][kind]

    def value(self, value: Any, indent: str = "") -> str:
        if isinstance(value, dict):
            parts = [f"{self.key(key)}{self.small()}:{self.small()}" for key in value]
            return self.block(
                "{",
                [part + self.value(one, indent + self.unit) for part, one in zip(parts, value.values(), strict=True)],
                "}",
                indent,
            )
        if isinstance(value, list):
            return self.block("[", [self.value(one, indent + self.unit) for one in value], "]", indent)
        if value == STANDS:
            return STANDS
        return json.dumps(value, ensure_ascii=self.draw(st.booleans()))

    def small(self) -> str:
        return self.draw(st.sampled_from(["", " ", " ", "\t", "/*c0*/" if self.comments else " "]))

    def key(self, key: str) -> str:
        if self.liberties and re.fullmatch(r"[A-Za-z_$][\w$]*", key, re.ASCII) and self.draw(st.booleans()):
            return self.draw(st.sampled_from([key, f"'{key}'"]))
        return json.dumps(key)

    def block(self, opening: str, parts: list[str], closing: str, indent: str) -> str:
        inner = indent + self.unit
        text = opening
        for index, part in enumerate(parts):
            comma = index < len(parts) - 1 or (self.liberties and self.draw(st.booleans()))
            text += self.gap(inner) + part + (self.small() + "," if comma else "")
        return text + self.gap(indent) + closing


@st.composite
def documents(draw: st.DrawFn, *, stands: bool) -> tuple[str, dict[str, Any]]:
    """Draw a text and its data, with or without an entry."""
    data = draw(st.dictionaries(keys, values, max_size=3))
    servers = draw(st.one_of(st.none(), st.dictionaries(keys, values, max_size=3)))
    data.pop("mcpServers", None)
    if stands or servers is not None:
        items = list((servers or {}).items())
        if stands:
            items.insert(draw(st.integers(0, len(items))), ("databricks", STANDS))
        outer = list(data.items())
        outer.insert(draw(st.integers(0, len(outer))), ("mcpServers", dict(items)))
        data = dict(outer)
    writer = Writer(draw)
    bom = draw(st.sampled_from(["", "", "\ufeff"]))
    text = bom + writer.gap("") + writer.value(data) + writer.gap("")
    return text, data


def parsed(text: str) -> Any:
    return read_entry(text, "json", ())


def without_entry(data: dict[str, Any]) -> dict[str, Any]:
    servers = {key: value for key, value in data.get("mcpServers", {}).items() if key != "databricks"}
    return {**data, "mcpServers": servers}


def kept(old: str, new: str) -> bool:
    """Return whether every character of the old text except whitespace is in the new one, in order."""
    rest = iter(new)
    return all(character in rest for character in old if not character.isspace())


@few
@given(documents(stands=False))
def test_a_text_is_read_as_the_data_it_was_written_from(document: tuple[str, dict[str, Any]]) -> None:
    text, data = document
    assert parsed(text) == data or (data == {} and parsed(text) in ({}, None))


@few
@given(documents(stands=False), entries)
def test_a_new_entry_is_read_back_and_everything_else_is_kept(
    document: tuple[str, dict[str, Any]], entry: dict[str, Any]
) -> None:
    text, data = document
    after = set_entry(text, "json", PLACE, entry)
    assert read_entry(after, "json", PLACE) == entry
    assert without_entry(parsed(after)) == without_entry(data)
    assert kept(text, after)
    assert set_entry(after, "json", PLACE, entry) == after


@few
@given(documents(stands=True), entries)
def test_replacing_an_entry_changes_only_its_value(document: tuple[str, dict[str, Any]], entry: dict[str, Any]) -> None:
    text, data = document
    before, behind = text.split(STANDS)
    after = set_entry(text, "json", PLACE, entry)
    assert after.startswith(before)
    assert after.endswith(behind)
    assert read_entry(after, "json", PLACE) == entry
    assert without_entry(parsed(after)) == without_entry(data)


@few
@given(documents(stands=False), entries)
def test_setting_and_removing_an_entry_restores_the_data(
    document: tuple[str, dict[str, Any]], entry: dict[str, Any]
) -> None:
    text, data = document
    back = remove_entry(set_entry(text, "json", PLACE, entry), "json", PLACE)
    assert parsed(back) == without_entry(data)
    assert COMMENT.findall(back) == COMMENT.findall(text)
    assert list(parsed(back)) == [*data, *(["mcpServers"] if "mcpServers" not in data else [])]


@few
@given(documents(stands=True))
def test_removing_an_entry_keeps_other_comments_and_leaves_no_comma(document: tuple[str, dict[str, Any]]) -> None:
    text, data = document
    after = remove_entry(text, "json", PLACE)
    assert parsed(after) == without_entry(data)
    around = re.sub(r'["\']?databricks["\']?\s*(/\*c0\*/)?:\s*(/\*c0\*/)?"@@the entry that stands@@"', "", text)
    around = re.sub(r"\s", "", around)
    assert re.sub(r"[\s,]", "", after) == around.replace(",", "")
    assert remove_entry(after, "json", PLACE) == after


@few
@given(st.text("{}[]\",:/*\\'a1 \n\r\t-+.e\ufeff", max_size=30))
def test_garbage_is_refused_or_edited_without_a_crash(text: str) -> None:
    try:
        data = parsed(text)
        after = set_entry(text, "json", PLACE, {"command": "uvx"})
    except BridgeError:
        return
    assume(data is not None)
    assert read_entry(after, "json", PLACE) == {"command": "uvx"}


@few
@given(values)
def test_strict_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    text = json.dumps({"a": value})
    assert read_entry(text, "json", ("a",)) == json.loads(text)["a"]


@pytest.mark.parametrize("text", ["", "  \n", "\ufeff", "\ufeff\r\n"])
def test_an_empty_file_is_an_empty_document(text: str) -> None:
    after = set_entry(text, "json", PLACE, {"command": "uvx"})
    assert json.loads(after.removeprefix("\ufeff")) == {"mcpServers": {"databricks": {"command": "uvx"}}}
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    assert read_entry(text, "json", PLACE) is None
    assert remove_entry(text, "json", PLACE) == text
