"""Results fit the host that asked: no more than it takes, no more than its model sees, and the rest can be read."""

import json
from collections.abc import ItemsView
from dataclasses import replace
from typing import Any

import pytest
from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from databricks_responses_mcp.calls.truncation import JsonTexts, estimated_tokens, fitted, page_characters
from databricks_responses_mcp.hosts.limits import HOST_LIMITS, UNKNOWN_HOST, HostLimits, find_limits
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect

pytestmark = pytest.mark.anyio
ASK = "ask_databricks_model"
LONG = {"prompt": "[[words 20000]]", "max_output_tokens": 120_000}  # about 110 kB
NAMES = ["claude-code", "claude-ai", "codex-mcp-client", "gemini-cli-mcp-client", "opencode", "somebody-else"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_long_answer_fits_what_the_hosts_model_sees(connect: Connect, name: str) -> None:
    limits = find_limits(name)
    async with connect(client_name=name) as host:
        content, facts, failed = await host.call(ASK, **LONG)
        whole = (await host.client.read_resource(facts["text_uri"])).contents[0]
    assert not failed
    text, structured = content[0].text, json.dumps(facts, ensure_ascii=False)
    shown = text if limits.shows == "content" else structured
    assert estimated_tokens(shown) <= (limits.shown_tokens or 10**9)
    assert len(shown.encode()) <= (limits.shown_bytes or 10**9)
    assert len(json.dumps(text)) + len(structured) <= (limits.result_bytes or 10**9)
    # As much as fits is there, not just something.
    assert len(facts["text"]) > 0.7 * min(80_000, limits.shown_bytes or 10**9, 2.5 * (limits.shown_tokens or 10**9))
    assert whole.text.startswith(facts["text"])
    assert len(whole.text) > 100_000
    assert facts["text_uri"] in text


@pytest.mark.slow
async def test_a_picture_and_a_long_text_fit_one_result_of_a_desktop_assistant(connect: Connect) -> None:
    drawing = {"tools": [{"type": "image_generation"}]}
    async with connect(client_name="claude-ai", max_text_tokens=200_000, inline_image_bytes=600_000) as host:
        content, facts, _ = await host.call(
            ASK, prompt="Draw a cat [[words 20000]]", max_output_tokens=120_000, extra=drawing
        )
    size = sum(len(block.model_dump_json(by_alias=True)) for block in content) + len(json.dumps(facts))
    assert size < 1_000_000
    assert facts["images"][0]["path"] in content[0].text


async def test_a_parsed_value_that_is_too_long_is_a_resource(connect: Connect) -> None:
    schema = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}
    async with connect(client_name="codex-mcp-client") as host:
        answer = json.dumps({"words": "word " * 10_000})
        _, facts, _ = await host.call(ASK, prompt=f"[[say {answer}]]", output_schema=schema)
        uri = facts["notes"][-1].rpartition("resource ")[2].rstrip(".")
        whole = (await host.client.read_resource(uri)).contents[0]
    assert "parsed" not in facts
    assert json.loads(whole.text) == json.loads(answer)
    assert len(json.dumps(facts)) < 11_000


async def test_an_answer_of_marks_alone_is_cut_by_its_tokens(connect: Connect) -> None:
    """Each mark is a token, so such a text fits the host's limit in bytes long before that in tokens."""
    limits = find_limits("claude-code")
    text = "!?" * 20_000
    async with connect(client_name="claude-code") as host:
        _, facts, _ = await host.call(ASK, prompt=f"[[say {text}]]", max_output_tokens=120_000)
    assert len(text) < (limits.shown_bytes or 0)
    assert 20_000 < estimated_tokens(json.dumps(facts, ensure_ascii=False)) <= (limits.shown_tokens or 0)


async def test_the_rest_of_an_answer_comes_in_pages_that_its_host_shows_whole(connect: Connect) -> None:
    pages: list[str] = []
    async with connect(client_name="codex-mcp-client") as host:
        _, facts, _ = await host.call(ASK, **LONG)
        whole = (await host.client.read_resource(facts["text_uri"])).contents[0].text
        uri: str | None = f"{facts['text_uri']}/{len(facts['text'])}"
        while uri is not None:
            page = (await host.client.read_resource(uri)).contents[0].text
            assert len(page.encode()) <= (find_limits("codex-mcp-client").shown_bytes or 0)
            text, more, rest = page.partition("\n\n[")
            pages.append(text)
            uri = rest.rpartition(" more: ")[2].rstrip("]") if more else None
    assert len(pages) > 10
    assert facts["text"] + "".join(pages) == whole


@pytest.mark.parametrize(
    ("limits", "characters"),
    [
        (UNKNOWN_HOST, 80_000),
        (replace(UNKNOWN_HOST, shown_bytes=10_000), 4_500),
        (replace(UNKNOWN_HOST, shown_tokens=10_000), 18_000),
        (replace(UNKNOWN_HOST, shown_tokens=1_000, shown_bytes=1_000), 450),
    ],
)
def test_a_page_is_as_long_as_its_host_shows(limits: HostLimits, characters: int) -> None:
    assert page_characters(limits, 80_000) == characters


async def test_an_error_that_received_much_is_cut_too(connect: Connect, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("cut:3000")
    async with connect(client_name="codex-mcp-client") as host:
        content, facts, failed = await host.call(ASK, **LONG)
    assert (failed, facts["error"]["code"]) == (True, "upstream_unavailable")
    assert 7_000 < len(json.dumps(facts)) < 11_000
    assert facts["text_uri"] in content[0].text


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("claude-code", "claude-code"),
        ("Claude-Code", "claude-code"),
        ("claude-ai", "claude-desktop"),
        ("Visual Studio Code - Insiders", "vscode"),
        ("JetBrains-IU-copilot-intellij", "jetbrains"),
        ("codex-mcp-client", "codex"),
        ("goose-desktop", "goose"),
        ("clinever", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_hosts_are_known_by_what_they_call_themselves(name: str | None, key: str) -> None:
    assert find_limits(name).key == key


def test_no_name_belongs_to_two_hosts() -> None:
    names = [name for host in HOST_LIMITS for name in host.client_names]
    assert len(names) == len(set(names))
    assert [name for name in names if name != name.lower()] == []
    assert UNKNOWN_HOST.client_names == ()


@pytest.mark.slow
async def test_thumbnails_that_would_make_a_result_too_large_are_left_out_and_the_files_are_named(
    connect: Connect,
) -> None:
    drawing = {"prompt": "A detailed landscape with snow", "size": "1024x1024", "quality": "high", "n": 4}
    async with connect(client_name="claude-ai", inline_image_bytes=3_000_000) as host:
        small, _, _ = await host.call("generate_image", **{**drawing, "n": 1})
        content, facts, failed = await host.call("generate_image", **drawing)
    limit = find_limits("claude-ai").result_bytes or 0
    assert [block.type for block in small] == ["text", "image", "resource_link"]
    # Otherwise this shows nothing: four such thumbnails have to be more than a result may hold.
    assert 4 * len(small[1].data) > limit
    assert not failed
    assert [block.type for block in content] == ["text", *["resource_link"] * 4]
    assert all(image["path"] in content[0].text for image in facts["images"])
    assert sum(len(block.model_dump_json(by_alias=True)) for block in content) + len(json.dumps(facts)) < limit


class WrittenObject(dict[str, Any]):
    """An object that counts how often it is written as JSON."""

    times = 0

    def items(self) -> ItemsView[str, Any]:
        self.times += 1
        return super().items()


def test_what_is_never_cut_is_written_as_json_once_however_often_a_result_is_cut() -> None:
    call = WrittenObject(call_id="call_1", arguments="x" * 1_000_000)
    calls = [call]
    tried: list[int] = []

    def make(characters: int) -> CallToolResult:
        tried.append(characters)
        words = TextContent(text="word " * (characters // 5))
        return CallToolResult(content=[words], structured_content={"text": words.text, "pending_calls": calls})

    result = fitted(UNKNOWN_HOST, 80_000, make, JsonTexts())

    # It is given up as soon as the least text is too much as well.
    assert (len(tried), tried[-1]) == (4, 400)
    assert result.structured_content is not None
    assert result.structured_content["pending_calls"] == [call]
    assert call.times == 1


@pytest.mark.parametrize(("characters", "is_shown"), [(400_000, True), (600_000, False)])
def test_thumbnails_are_left_out_of_a_result_that_is_larger_than_its_host_accepts(
    characters: int, is_shown: bool
) -> None:
    words = TextContent(text="Saved to /p/a.png.")
    thumbnail = ImageContent(data="A" * characters, mime_type="image/webp")

    def make(_: int) -> CallToolResult:
        content: list[ContentBlock] = [words, thumbnail, thumbnail]
        return CallToolResult(content=content)

    content = fitted(UNKNOWN_HOST, 80_000, make, JsonTexts()).content
    assert content == ([words, thumbnail, thumbnail] if is_shown else [words])
