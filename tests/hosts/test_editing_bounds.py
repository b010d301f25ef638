"""A hostile configuration file leads to an error with advice, in bounded time, and never to a traceback."""

import json
from typing import Any

import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.editing import Format, Place, read_entry, remove_entry, set_entry

PLACE: Place = ("servers", "databricks")
ENTRY: dict[str, Any] = {"command": "uvx"}


def bomb(width: int, levels: int, item: str) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {item.format(','.join([f'*a{n - 1}'] * width))}" for n in range(1, levels)]
    return "\n".join([*lines, "servers: {}"])


HOSTILE: dict[str, tuple[Format, str]] = {
    "YAML aliases that expand to billions of values": ("yaml", bomb(10, 10, "[{}]")),
    "YAML merges that expand to billions of pairs": ("yaml", bomb(10, 10, "{{<<: [{}]}}")),
    "a YAML list that holds itself": ("yaml", "servers: &s\n  x: *s\n"),
    "a YAML list that holds itself in a list": ("yaml", "s: &s [*s]\nservers: {}\n"),
    "a YAML tag that its value does not fit": ("yaml", 'x: !!bool "perhaps"\nservers: {}\n'),
    "a YAML number that is empty": ("yaml", 'x: !!int ""\nservers: {}\n'),
    "a long YAML text": ("yaml", "# x\n" * 60_000),
    "a YAML number of 5,000 digits": ("yaml", f"x: 0x{'f' * 5_000}\nservers: {{}}\n"),
    "deep YAML": ("yaml", "x: " + "[" * 200 + "]" * 200 + "\nservers: {}\n"),
    "a TOML key of many parts": ("toml", f"[{'a.' * 100_000}b]\n"),
    "a TOML key of many quoted parts": ("toml", "[" + '"a".' * 100_000 + "b]\n"),
    "deep TOML arrays": ("toml", "x = " + "[" * 20_000),
    "deep TOML tables": ("toml", "x = " + "{a=" * 120 + "1" + "}" * 120),
    "a TOML number of 5,000 digits": ("toml", f"x = 0x{'f' * 5_000}\n"),
    "a long TOML text": ("toml", "# x\n" * 300_000),
    "a JSON number of 4,000 hexadecimal digits": ("json", f'{{"x": 0x{"f" * 4_000}, "servers": {{}}}}'),
    "deep JSON": ("json", "[" * 100_000),
    "many JSON values": ("json", f"[{'0,' * 200_000}0]"),
}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.slow] if name == "many JSON values" else [])
        for name, case in HOSTILE.items()
    ],
)
def test_a_hostile_file_is_refused_with_a_code_before_it_is_changed(form: Format, text: str) -> None:
    for attempt in (
        lambda: read_entry(text, form, PLACE),
        lambda: set_entry(text, form, PLACE, ENTRY),
        lambda: remove_entry(text, form, PLACE),
    ):
        with pytest.raises(BridgeError) as raised:
            attempt()
        assert raised.value.code is ErrorCode.INVALID_ARGUMENT
        assert raised.value.message.startswith(("The file is not read: it has ", "The file is not valid "))
        assert raised.value.hint.endswith("nothing was written.")


def test_a_hundred_duplicates_of_an_entry_are_not_removed_one_by_one() -> None:
    text = '{"servers": {' + ",".join(['"databricks": {}'] * 100) + "}}"
    with pytest.raises(BridgeError, match="more than 50 times"):
        remove_entry(text, "json", PLACE)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", json.dumps({"history": [{"display": "x" * 20}] * 2_000, "servers": {}})),
        ("yaml", "a: &a {x: 1}\nb: [*a, *a, *a]\nc:\n  <<: *a\n? [d]\n: e\nservers: {}\n"),
        ("toml", '[projects."/home/me/a.b.c"]\ntrust_level = "trusted"\n[' + ".".join(["a"] * 60) + "]\nx = 1\n"),
    ],
)
def test_a_large_or_complex_file_within_the_limits_is_edited(form: Format, text: str) -> None:
    changed = set_entry(text, form, PLACE, ENTRY)
    assert read_entry(changed, form, PLACE) == ENTRY
    assert read_entry(remove_entry(changed, form, PLACE), form, PLACE) is None
