"""``search_web`` as a host uses it."""

import re

import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect

pytestmark = pytest.mark.anyio


async def test_an_answer_comes_with_marks_citations_and_sources_in_both_forms(connect: Connect, era: str) -> None:
    async with connect(era) as host:
        content, facts, failed = await host.call("search_web", question="Who won?", allowed_domains=["news.example"])
    assert not failed
    text = content[0].text
    for citation in facts["citations"]:
        assert citation["url"].startswith("https://news.example/")
        assert facts["text"][citation["start"] : citation["end"]] == citation["quote"]
        marks = re.match(r"(\[\d+\])+", facts["text"][citation["end"] :])
        assert marks is not None
        assert f"[{citation['number']}]" in marks[0]
        assert f"[{citation['number']}] {citation['title']}: {citation['url']}" in text
    assert [citation["number"] for citation in facts["citations"]] == [1, 2]
    assert len(facts["sources"]) == 2
    assert text.startswith(facts["text"])


async def test_what_was_asked_for_reaches_the_request(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        await host.call(
            "search_web",
            question="Weather?",
            allowed_domains="weather.example",
            search_context_size="low",
            user_location={"city": "Bern", "country": "CH"},
        )
    body = emulator.state.request_log.to("/responses")[0].body
    assert body["tools"] == [
        {
            "type": "web_search",
            "filters": {"allowed_domains": ["weather.example"]},
            "search_context_size": "low",
            "user_location": {"type": "approximate", "city": "Bern", "country": "CH"},
        }
    ]
    assert body["tool_choice"] == "required"
    assert body["include"] == ["web_search_call.action.sources", "reasoning.encrypted_content"]
