"""The tool ``manage_conversations`` and the resources of conversations, in both protocol eras."""

import json
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp.types import ResourceTemplateReference

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
MANAGE = "manage_conversations"


async def two(host: Host) -> tuple[str, str]:
    """Two conversations, the second of two turns."""
    _, cats, _ = await host.call(ASK, prompt="Tell me of cats.")
    _, dogs, _ = await host.call(ASK, prompt="Tell me of dogs.")
    await host.call(ASK, prompt="[[say Woof]]", conversation_id=dogs["conversation_id"])
    return cats["conversation_id"], dogs["conversation_id"]


async def test_conversations_are_listed_newest_first_with_what_tells_them_apart(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era) as host:
        empty, nothing, _ = await host.call(MANAGE, action="list")
        cats, dogs = await two(host)
        blocks, facts, failed = await host.call(MANAGE, action="list")
        _, found, _ = await host.call(MANAGE, action="list", contains="CATS")
        _, old, _ = await host.call(MANAGE, action="list", older_than_days=1)
    assert not failed
    assert empty[0].text == "No conversations."
    assert nothing["total"] == old["total"] == 0
    assert [known["conversation_id"] for known in facts["conversations"]] == [dogs, cats]
    newest = facts["conversations"][0]
    assert (newest["title"], newest["turns"], newest["model"]) == ("Tell me of dogs.", 2, "embedded-rules")
    assert newest["input_tokens"] > 0
    assert newest["output_tokens"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", newest["updated_at"])
    assert blocks[0].text.splitlines()[0].startswith(f"- {dogs}: Tell me of dogs. (embedded-rules, 2 turns, ")
    assert [known["conversation_id"] for known in found["conversations"]] == [cats]


async def test_one_is_shown_and_exported(connect: Connect, emulator: RunningEmulator, era: str) -> None:
    async with connect(era) as host:
        _, dogs = await two(host)
        blocks, shown, _ = await host.call(MANAGE, action="show", conversation_id=dogs)
        _, exported, _ = await host.call(MANAGE, action="export", conversation_id=dogs)
        _, as_json, _ = await host.call(MANAGE, action="export", conversation_id=dogs, format="json")
        resource = await host.client.read_resource(f"conversation://{dogs}")
    assert shown["text"] == exported["text"] == blocks[0].text
    assert "Tell me of dogs." in shown["text"]
    assert "Woof" in shown["text"]
    parsed = json.loads(as_json["text"])
    assert parsed["conversation_id"] == dogs
    assert [turn["number"] for turn in parsed["turns"]] == [1, 2]
    (content,) = resource.contents
    assert content.mime_type == "text/markdown"
    assert getattr(content, "text", "") == shown["text"]


async def test_nothing_is_deleted_that_was_not_named(connect: Connect, emulator: RunningEmulator, era: str) -> None:
    async with connect(era) as host:
        cats, dogs = await two(host)
        blocks, named, _ = await host.call(MANAGE, action="delete", conversation_id=cats)
        assert (named["deleted"], named["total"]) == (False, 1)
        assert cats in blocks[0].text
        assert (await host.call(MANAGE, action="list"))[1]["total"] == 2
        blocks, gone, _ = await host.call(MANAGE, action="delete", conversation_id=cats, confirm=True)
        assert (gone["deleted"], gone["total"]) == (True, 1)
        assert cats in blocks[0].text
        assert [known["conversation_id"] for known in (await host.call(MANAGE, action="list"))[1]["conversations"]] == [
            dogs
        ]
        _, facts, failed = await host.call(ASK, prompt="On", conversation_id=cats)
        assert failed
        assert facts["error"]["code"] == "not_found"
        _, every, _ = await host.call(MANAGE, action="delete", older_than_days=0, confirm=True)
        assert every["total"] == 1
        _, none, _ = await host.call(MANAGE, action="delete", older_than_days=0, confirm=True)
        assert none["total"] == 0


async def test_a_conversation_is_compacted_also_when_that_takes_longer_than_the_host_waits(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era) as host:
        cats, dogs = await two(host)
        blocks, facts, failed = await host.call(MANAGE, action="compact", conversation_id=cats)
    assert not failed
    assert blocks[0].text.startswith("This summary replaces the earlier turns from now on:")
    assert facts["usage"]["input_tokens"] > 0
    async with connect(era, hand_over_seconds=0.05) as host:
        with emulator.state.hold(3):
            _, running, _ = await host.call(MANAGE, action="compact", conversation_id=dogs)
            assert running["status"] == "running"
        with anyio.fail_after(DEADLINE_SECONDS):
            while running["status"] == "running":
                blocks, running, _ = await host.call("get_response", response_id=running.get("response_id", ""))
    assert blocks[0].text.startswith("This summary replaces the earlier turns from now on:")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"action": "rename"}, "invalid_argument"),
        ({"action": "show"}, "invalid_argument"),
        ({"action": "delete"}, "invalid_argument"),
        ({"action": "delete", "conversation_id": "conv_0", "older_than_days": 0}, "invalid_argument"),
        ({"action": "export", "conversation_id": "conv_0", "format": "pdf"}, "invalid_argument"),
        ({"action": "show", "conversation_id": "conv_0"}, "not_found"),
        ({"action": "export", "conversation_id": "conv_0"}, "not_found"),
        ({"action": "delete", "conversation_id": "conv_0", "confirm": True}, "not_found"),
        ({"action": "compact", "conversation_id": "conv_0"}, "not_found"),
    ],
)
async def test_what_cannot_be_done_is_said(
    connect: Connect, emulator: RunningEmulator, arguments: dict[str, Any], code: str
) -> None:
    async with connect() as host:
        _, facts, failed = await host.call(MANAGE, **arguments)
    assert failed
    assert facts["error"]["code"] == code
    assert facts["error"]["hint"]


async def test_ids_are_completed_and_an_unknown_resource_is_an_error(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era) as host:
        cats, dogs = await two(host)
        reference = ResourceTemplateReference(uri="conversation://{id}")
        every = await host.client.complete(reference, {"name": "id", "value": ""})
        one = await host.client.complete(reference, {"name": "id", "value": cats[:-1]})
        with pytest.raises(MCPError):
            await host.client.read_resource("conversation://conv_0")
    assert sorted(every.completion.values) == sorted((cats, dogs))
    assert cats in one.completion.values


async def test_a_conversation_with_calls_that_wait_says_so(connect: Connect, emulator: RunningEmulator) -> None:
    weather = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
    async with connect() as host:
        _, asked, _ = await host.call(ASK, prompt="Weather?", tools=[weather])
        blocks, facts, _ = await host.call(MANAGE, action="list")
        _, shown, _ = await host.call(MANAGE, action="show", conversation_id=asked["conversation_id"])
    assert facts["conversations"][0]["waiting"] == 1
    assert "1 calls wait" in blocks[0].text
    assert asked["pending_calls"][0]["call_id"] in shown["text"]


async def test_pictures_of_a_conversation_go_along_only_where_they_may_be_edited(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era) as host:
        _, cat, _ = await host.call("generate_image", prompt="A cat")
        conversation_id = cat["conversation_id"]
        _, hat, failed = await host.call("generate_image", prompt="Now with a hat", conversation_id=conversation_id)
        assert not failed
        await host.call(ASK, prompt="What is on it?", conversation_id=conversation_id)
        Path(cat["images"][0]["path"]).unlink()
        _, _, failed = await host.call("generate_image", prompt="And a scarf", conversation_id=conversation_id)
        assert not failed
    first, second, third, fourth = (exchange.body for exchange in emulator.state.request_log.to("/responses"))

    def pictures(body: Any) -> list[int]:
        return [len(item["result"]) for item in body["input"] if item["type"] == "image_generation_call"]

    size = cat["images"][0]["bytes"]
    assert pictures(first) == pictures(third) == []
    assert pictures(second) == [(size + 2) // 3 * 4]
    assert pictures(fourth) == [(hat["images"][0]["bytes"] + 2) // 3 * 4]
    assert "base64" not in json.dumps(third)
    assert hat["conversation_id"] == conversation_id
