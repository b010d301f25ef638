"""Arguments as hosts send them that cannot leave one out."""

import json
from typing import Any

import pytest

from databricks_responses_mcp.tools.arguments import without_placeholders
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_only_optional_arguments_that_say_nothing_are_left_out() -> None:
    given = {
        "prompt": "null",
        "a": None,
        "b": "null",
        "c": ["null"],
        "d": "undefined",
        "e": [None],
        "kept": "none",
        "also_kept": ["null", "x"],
        "text": "Null",
        "number": 0,
        "empty": {},
        "nested": [["null"]],
    }
    assert without_placeholders(given, ("prompt",)) == {
        "prompt": "null",
        "kept": "none",
        "also_kept": ["null", "x"],
        "text": "Null",
        "number": 0,
        "empty": {},
        "nested": [["null"]],
    }


@pytest.mark.parametrize("nothing", ["null", None, ["null"], [None], "undefined"])
async def test_no_optional_argument_takes_the_word_null_for_a_value(
    connect: Connect, emulator: RunningEmulator, era: str, nothing: Any
) -> None:
    async with connect(era) as host:
        (tool,) = [tool for tool in (await host.client.list_tools()).tools if tool.name == ASK]
        optional = dict.fromkeys(set(tool.input_schema["properties"]) - set(tool.input_schema["required"]), nothing)
        _, facts, failed = await host.call(ASK, prompt="[[say plain]]", **optional)
        # `idempotency_key` was one of them: this is another call.
        _, other, _ = await host.call(ASK, prompt="[[say another]]", **optional)
        _, plain, _ = await host.call(ASK, prompt="[[say plain]]")
    assert (failed, facts["text"], other["text"]) == (False, "plain", "another")
    first, _, last = (exchange.body for exchange in emulator.state.request_log.to("/responses"))
    assert first == last
    assert facts.keys() == plain.keys()


@pytest.mark.parametrize("text", ['{"role": "pirate"}', "[1, 2]", "  [[say JSON]]", '{"unfinished": ', "17"])
async def test_a_text_that_looks_like_json_is_sent_as_it_was_written(
    connect: Connect, emulator: RunningEmulator, era: str, text: str
) -> None:
    async with connect(era) as host:
        _, facts, failed = await host.call(ASK, prompt=text, instructions=text)
    assert (failed, facts["status"]) == (False, "completed")
    (sent,) = (exchange.body for exchange in emulator.state.request_log.exchanges)
    assert sent["instructions"] == text
    assert sent["input"] == [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]


async def test_an_object_or_an_array_may_come_as_json_in_a_text(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        _, facts, failed = await host.call(
            ASK, prompt="[[say x]]", extra='{"metadata": {"a": "b"}}', images=json.dumps([PIXEL, PIXEL])
        )
    assert (failed, facts["status"]) == (False, "completed")
    (sent,) = (exchange.body for exchange in emulator.state.request_log.to("/responses"))
    assert sent["metadata"] == {"a": "b"}
    assert [part["type"] for part in sent["input"][0]["content"]] == ["input_text", "input_image", "input_image"]
