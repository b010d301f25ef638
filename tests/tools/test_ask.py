"""``ask_databricks_model`` as a host uses it, in both protocol eras."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from PIL import Image

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"


def steady(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without ids and token counts, which differ from call to call."""
    kept = {key: value for key, value in facts.items() if key not in ("response_id", "conversation_id", "usage")}
    if "output" in kept:
        kept["output"] = [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in kept["output"]]
    if "pending_calls" in kept:
        kept["pending_calls"] = [{k: v for k, v in c.items() if k != "call_id"} for c in kept["pending_calls"]]
    return kept


def texts(content: list[Any]) -> list[str]:
    return [block.text for block in content if block.type == "text"]


async def test_an_answer_comes_as_text_and_as_structure(connect: Connect, era: str) -> None:
    async with connect(era) as host:
        content, facts, failed = await host.call(ASK, prompt="[[say The answer is 42.]]")
    assert (failed, texts(content)) == (False, ["The answer is 42."])
    assert facts["usage"]["total_tokens"] > 0
    assert steady(facts) == snapshot(
        {
            "text": "The answer is 42.",
            "status": "completed",
            "model": "embedded-rules",
            "endpoint": "databricks-gpt-5",
        }
    )


async def test_every_argument_reaches_the_request(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        await host.call(
            ASK,
            prompt="Hi",
            model="databricks-gpt-5-1",
            instructions="Be brief.",
            reasoning_effort="low",
            verbosity="low",
            max_output_tokens=100,
            temperature=1,
            top_p=0.5,
            extra={"metadata": {"team": "x"}, "reasoning": {"summary": "auto"}},
        )
    assert emulator.state.request_log.to("/responses")[0].body == snapshot(
        {
            "model": "databricks-gpt-5-1",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            "stream": True,
            "instructions": "Be brief.",
            "max_output_tokens": 100,
            "temperature": 1,
            "top_p": 0.5,
            "metadata": {"team": "x"},
            "reasoning": {"summary": "auto", "effort": "low"},
            "text": {"verbosity": "low"},
            "include": ["reasoning.encrypted_content"],
        }
    )


async def test_files_stand_in_the_prompt_with_their_names_and_lines(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\nthree\nfour\n", encoding="utf-8")
    async with connect() as host:
        await host.call(ASK, prompt="Explain.", files=[f"{tmp_path}/a.py:2-3"])
    sent = emulator.state.request_log.to("/responses")[0].body["input"][0]["content"]
    assert len(sent) == 1
    text = sent[0]["text"]
    assert text.startswith("Explain.")
    assert "a.py" in text
    assert "two\nthree" in text
    assert "four" not in text


async def test_images_are_sent_inline_in_their_order(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    Image.new("RGB", (3, 2), "red").save(tmp_path / "red.png")
    Image.new("RGB", (4, 5), "blue").save(tmp_path / "blue.jpg")
    async with connect() as host:
        _, _, failed = await host.call(
            ASK, prompt="What is this?", images=[str(tmp_path / "red.png"), str(tmp_path / "blue.jpg")]
        )
    assert not failed
    content = emulator.state.request_log.to("/responses")[0].body["input"][0]["content"]
    assert [part["type"] for part in content] == ["input_text", "input_image", "input_image"]
    assert [part["image_url"].partition(";")[0] for part in content[1:]] == ["data:image/png", "data:image/jpeg"]


async def test_a_refusal_says_that_it_is_one(connect: Connect) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(ASK, prompt="[[refuse]]")
    assert not failed
    assert facts["text"] == ""
    assert facts["refusal"]
    assert texts(content) == [f"[The model refused] {facts['refusal']}"]


async def test_an_answer_cut_by_its_token_limit_keeps_its_text_and_says_what_to_do(connect: Connect) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(ASK, prompt="[[words 200]]", max_output_tokens=20)
    assert not failed
    assert (facts["status"], facts["incomplete_reason"]) == ("incomplete", "max_output_tokens")
    assert facts["text"]
    assert texts(content)[0] == (
        facts["text"]
        + "\n\n[Incomplete: the answer reached max_output_tokens. Ask again with a larger max_output_tokens.]"
    )


async def test_an_answer_that_was_all_reasoning_says_so(connect: Connect) -> None:
    async with connect() as host:
        content, facts, _ = await host.call(ASK, prompt="[[only reasoning]]", max_output_tokens=50)
    assert (facts["status"], facts["text"]) == ("incomplete", "")
    assert "All of it went into reasoning" in texts(content)[0]


async def test_a_filtered_answer_and_an_empty_one_say_what_they_are(connect: Connect) -> None:
    async with connect() as host:
        filtered, facts, _ = await host.call(ASK, prompt="[[filter]]")
        empty, _, failed = await host.call(ASK, prompt="[[empty]]")
    assert facts["incomplete_reason"] == "content_filter"
    assert "content filter" in texts(filtered)[0]
    assert (failed, texts(empty)) == (False, ["[The model answered without any text.]"])


async def test_reasoning_summaries_are_in_both_forms(connect: Connect) -> None:
    async with connect() as host:
        content, facts, _ = await host.call(
            ASK, prompt="[[say Yes.]]", extra={"reasoning": {"effort": "low", "summary": "auto"}}
        )
    summary = facts["output"][0]["summary"][0]["text"]
    assert texts(content) == [f"Yes.\n\n[Reasoning] {summary}"]


async def test_commentary_is_kept_apart_and_the_final_answer_is_the_answer(connect: Connect) -> None:
    async with connect() as host:
        content, facts, _ = await host.call(ASK, prompt="[[commentary]]")
    (commentary,) = facts["output"]
    assert (commentary["type"], commentary["phase"]) == ("message", "commentary")
    said = commentary["content"][0]["text"]
    assert said == "Looking into it."
    assert facts["text"].startswith("No model was asked")
    assert texts(content) == [facts["text"]]


async def test_a_function_call_waits_for_the_host_in_both_forms(connect: Connect, era: str) -> None:
    tool = {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": False,
    }
    async with connect(era) as host:
        content, facts, failed = await host.call(ASK, prompt="Weather in Paris?", extra={"tools": [tool]})
    assert not failed
    (pending,) = facts["pending_calls"]
    assert (pending["type"], pending["name"]) == ("function_call", "get_weather")
    assert pending["answer_with"] == {
        "type": "function_call_output",
        "call_id": pending["call_id"],
        "output": "<text, or a list of input_text and input_image>",
    }
    assert isinstance(json.loads(pending["arguments"])["city"], str)
    assert f'continue_databricks_model with conversation_id "{facts["conversation_id"]}"' in texts(content)[0]
    assert pending["call_id"] in texts(content)[0]


async def test_citations_of_a_web_search_are_data_and_sources_in_the_text(connect: Connect) -> None:
    async with connect() as host:
        content, facts, _ = await host.call(ASK, prompt="News?", extra={"tools": [{"type": "web_search"}]})
    assert facts["citations"]
    for citation in facts["citations"]:
        assert facts["text"][citation["start_index"] : citation["end_index"]] == citation["quote"]
        assert citation["url"] in texts(content)[0].partition("Sources:\n")[2]
    assert facts["output"][0]["type"] == "web_search_call"


async def test_a_picture_drawn_in_passing_is_saved_and_shown(connect: Connect, tmp_path: Path) -> None:
    async with connect() as host:
        content, facts, _ = await host.call(ASK, prompt="Draw a cat", extra={"tools": [{"type": "image_generation"}]})
    (image,) = facts["images"]
    assert Path(image["path"]).parent == tmp_path / "pictures"
    assert [block.type for block in content] == ["text", "image", "text"]
    assert "result" not in json.dumps(facts["output"])


async def test_a_long_answer_is_cut_and_readable_whole(connect: Connect, era: str) -> None:
    async with connect(era, max_text_tokens=100) as host:
        content, facts, _ = await host.call(ASK, prompt="[[words 500]]")
        whole = (await host.client.read_resource(facts["text_uri"])).contents[0]
        other = await host.client.call_tool(ASK, {"prompt": "[[say short]]"})
    assert len(facts["text"]) == 400
    assert whole.text.startswith(facts["text"])
    assert whole.text.endswith("500")
    assert facts["text_uri"] in texts(content)[0]
    assert "text_uri" not in (other.structured_content or {})


async def test_progress_is_told_to_a_host_that_asks_for_it(connect: Connect) -> None:
    async with connect("legacy") as host:
        await host.call(ASK, prompt="Hi")
    assert host.progress[0][1] == "databricks-gpt-5: the model is answering"


async def test_a_host_that_cancels_closes_the_upstream_connection(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=3) as hold:
        async with connect(era) as host:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: host.call(ASK, prompt="Hi"))
                await hold.reached.wait()
                tasks.cancel_scope.cancel()
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
            hold.release()
            _, facts, failed = await host.call(ASK, prompt="[[say still here]]")
    assert (failed, facts["text"]) == (False, "still here")


@pytest.mark.slow
async def test_two_hundred_calls_at_once_all_get_their_own_answer(connect: Connect) -> None:
    answers: dict[int, str] = {}
    async with connect() as host:

        async def one(number: int) -> None:
            _, facts, _ = await host.call(ASK, prompt=f"[[say number {number}]]")
            answers[number] = facts["text"]

        with anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as tasks:
                for number in range(200):
                    tasks.start_soon(one, number)
    assert answers == {number: f"number {number}" for number in range(200)}
