"""Random TOML texts: everything around the entry is kept."""

import re
import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing import Place, read_entry, remove_entry, set_entry

PLACE: Place = ("mcp_servers", "databricks")
few = settings(max_examples=15, deadline=None)

words = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6),
    st.sampled_from(["# no comment", "[mcp_servers.databricks]", '"""', "'''", "\\", "a\r\nb"]),
)
scalars = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), words)
keys = st.one_of(st.sampled_from(["command", "args", "env", "a.b", "a b"]), words)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
entries = st.dictionaries(keys, values, min_size=1, max_size=4)
names = st.sampled_from(["x", "y z", "ü", "data.bricks"])
literals = st.sampled_from(
    [
        "1",
        "0x1f",
        "1979-05-27T07:32:00Z",
        '"#"',
        "'['",
        '"""\n[mcp_servers.databricks]\n"""',
        "'''\n# c\n'''",
        '"""a""""',
        "[1, # c\n  2,\n]",
        "[ [ ']' ], { a = 1 } ]",
        "{ a = { b = '}' } }",
        "inf",
    ]
)


@st.composite
def bodies(draw: st.DrawFn, prefix: str = "k") -> str:
    """Draw pairs with comments."""
    text = ""
    for index in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(["{}", '"{} q"', "'{}'.n", "{} . m"])).format(f"{prefix}{index}")
        text += (
            f"{key}{draw(st.sampled_from([' = ', '=']))}{draw(literals)}{draw(st.sampled_from(['', ' # c', '  ']))}\n"
        )
        text += draw(st.sampled_from(["", "\n", "# c\n", "\t# c\n"]))
    return text


def quoted(name: str) -> str:
    return tomlkit.key([name]).as_string()


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a text without the entry: top-level pairs, tables, arrays of tables, other servers in some notation."""
    text = draw(st.sampled_from(["", "# top\n", "\n"])) + draw(bodies())
    servers = draw(st.lists(names, unique=True, max_size=3))
    spelling = draw(st.sampled_from(["tables", "inline", "dotted", "inline each", "none"]))
    if spelling == "inline":
        inside = ", ".join(f"{quoted(name)} = {{ command = 'c' }}" for name in servers)
        text += f"mcp_servers = {{ {inside} }} # s\n" if servers else "mcp_servers = {}\n"
    elif spelling == "dotted":
        text += "".join(f"mcp_servers.{quoted(name)}.command = 'c' # s\n" for name in servers)
    table = draw(st.sampled_from(["t", "u . v", '"w w"']))
    sections = [f"[{table}]\n{draw(bodies())}"]
    if spelling == "tables":
        for name in servers:
            sections.append(f"[mcp_servers.{quoted(name)}]\n{draw(bodies())}")
            if draw(st.booleans()):
                sections.append(f"[mcp_servers . {quoted(name)}.env] # e\nA = '1'\n")
    elif spelling == "inline each":
        sections.append("[mcp_servers]\n" + "".join(f"{quoted(name)} = {{ command = 'c' }}\n" for name in servers))
    sections += ["[[list]]\n" + draw(bodies())] * draw(st.integers(0, 1)) + ["[[list]]\n"] * draw(st.integers(0, 1))
    for section in sections:
        text += draw(st.sampled_from(["", "\n", "# before\n", "\n# before\n"])) + section
    text += draw(st.sampled_from(["", "# end", "\n", "\n\n# end\n"]))
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def without_entry(text: str) -> dict[str, Any]:
    data = tomllib.loads(text)
    servers = {key: value for key, value in data.get("mcp_servers", {}).items() if key != "databricks"}
    data["mcp_servers"] = servers
    return data


def kept(old: str, new: str) -> bool:
    """Return whether every character of the old text except whitespace is in the new one, in order."""
    rest = iter(new)
    return all(character in rest for character in old if not character.isspace())


@few
@given(documents(), entries, entries)
def test_an_entry_is_set_replaced_and_removed_and_everything_else_is_kept(
    text: str, entry: dict[str, Any], other: dict[str, Any]
) -> None:
    after = set_entry(text, "toml", PLACE, entry)
    assert tomllib.loads(after)["mcp_servers"]["databricks"] == entry
    assert without_entry(after) == without_entry(text)
    assert kept(text, after)
    assert set_entry(after, "toml", PLACE, entry) == after

    replaced = set_entry(after, "toml", PLACE, other)
    assert read_entry(replaced, "toml", PLACE) == other
    assert without_entry(replaced) == without_entry(text)
    assert kept(text, replaced)

    back = remove_entry(replaced, "toml", PLACE)
    assert read_entry(back, "toml", PLACE) is None
    assert without_entry(back) == without_entry(text)
    assert re.sub(r"\s", "", back) == re.sub(r"\s", "", text)


@few
@given(documents())
def test_setting_and_removing_an_entry_restores_the_text_except_blank_lines(text: str) -> None:
    back = remove_entry(set_entry(text, "toml", PLACE, {"command": "uvx", "env": {"A": "1"}}), "toml", PLACE)
    assert [line.rstrip() for line in back.splitlines() if line.strip()] == [
        line.rstrip() for line in text.splitlines() if line.strip()
    ]


@few
@given(st.text("[]{}=.,#\"'\\ab1 \n\r\t-:", max_size=30))
def test_garbage_is_refused_or_edited_without_a_crash(text: str) -> None:
    try:
        after = set_entry(text, "toml", PLACE, {"command": "uvx"})
    except BridgeError:
        with pytest.raises(tomllib.TOMLDecodeError):
            tomllib.loads(text)
        return
    assert read_entry(after, "toml", PLACE) == {"command": "uvx"}
