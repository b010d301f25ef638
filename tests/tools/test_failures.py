"""Every code of the error contract, as a host receives it."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.errors import ErrorCode
from databricks_responses_mcp.tools import ask_databricks_model
from databricks_responses_mcp.tools.registry import all_tools
from databricks_responses_mcp.turns import progress
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect
from harness.clock import settable_clock
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"


async def error_of(connect: Connect, tool: str = ASK, era: str = "2026-07-28", **call: Any) -> dict[str, Any]:
    """The error of a call, after checking that it keeps the contract."""
    settings = call.pop("settings", {})
    async with connect(era, **settings) as host:
        content, facts, failed = await host.call(tool, **call)
    assert failed
    error = facts["error"]
    assert content[0].text.startswith(f"{error['code']}: {error['message']} {error['hint']}")
    assert {"code", "message", "retryable", "hint"} <= error.keys()
    assert "Error executing tool" not in content[0].text
    assert "Traceback" not in content[0].text
    return dict(error)


UPSTREAM: list[tuple[str, str, bool]] = [
    ("body:openai:400", "invalid_argument", False),
    ("500", "upstream_error", True),
    ("cut:3", "upstream_unavailable", True),
    ("drop", "upstream_unavailable", True),
    ("garbage", "upstream_error", True),
    ("body:guardrail:400", "content_filtered", False),
]


@pytest.mark.parametrize(("fault", "code", "retryable"), UPSTREAM)
async def test_a_failure_of_the_workspace_has_its_code_and_advice(
    connect: Connect, emulator: RunningEmulator, era: str, fault: str, code: str, retryable: bool
) -> None:
    emulator.state.faults.add(fault)
    error = await error_of(connect, era=era, prompt="Hi")
    assert (error["code"], error["retryable"]) == (code, retryable)


async def test_rate_limited_says_when_to_come_back(connect: Connect, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("429:600")
    error = await error_of(connect, prompt="Hi")
    assert (error["code"], error["retryable"], error["retry_after_seconds"], error["status"]) == (
        "rate_limited",
        True,
        600,
        429,
    )
    emulator.state.faults.add("429:600")
    async with connect() as host:
        content, facts, _ = await host.call(ASK, prompt="Hi")
    assert content[0].text.endswith(f"Retry after 600 s. Request id: {facts['error']['request_id']}.")


async def test_unauthenticated_does_not_show_the_token(connect: Connect, emulator: RunningEmulator) -> None:
    emulator.state.token = "another"
    error = await error_of(connect, prompt="Hi")
    assert error["code"] in ("unauthenticated", "permission_denied")
    assert "dapi" not in str(error)


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("previous_response_id", "Did you mean 'conversation_id'?"),
        ("max_tokens", "Did you mean 'max_output_tokens'?"),
        ("reasoning_efort", "Did you mean 'reasoning_effort'?"),
        ("zzz", "Its arguments are prompt, model, "),
    ],
)
async def test_an_argument_that_there_is_not_is_told_with_the_one_that_was_meant(
    connect: Connect, argument: str, meant: str
) -> None:
    error = await error_of(connect, prompt="Hi", **{argument: "x"})
    assert (error["code"], error["hint"].startswith(meant)) == ("invalid_argument", True)


@pytest.mark.parametrize(
    ("tool", "argument", "meant"),
    [("list_databricks_models", "filter", "name_contains"), ("edit_files", "files", "paths")],
)
async def test_an_argument_of_another_tool_is_told_with_the_one_that_was_meant(
    connect: Connect, tool: str, argument: str, meant: str
) -> None:
    async with connect() as host:
        _, facts, _ = await host.call(tool, **{argument: "x"})
    assert facts["error"]["hint"] == f"Did you mean {meant!r}?"


async def test_an_earlier_response_is_continued_by_its_conversation(connect: Connect) -> None:
    error = await error_of(connect, prompt="Hi", extra={"previous_response_id": "resp_1"})
    assert "conversation_id" in error["hint"]


@pytest.mark.parametrize("name", ["gpt-5", "databricks-gpt5", "GPT 5", "openai/gpt-5"])
async def test_a_model_that_there_is_not_is_told_with_those_that_were_meant(connect: Connect, name: str) -> None:
    error = await error_of(connect, prompt="Hi", model=name)
    assert error["code"] == "model_not_found"
    assert error["hint"].startswith("Did you mean databricks-gpt-5")


async def test_model_not_found_names_the_model_and_where_to_look(connect: Connect) -> None:
    error = await error_of(connect, prompt="Hi", model="databricks-gpt-99")
    assert error["code"] == "model_not_found"
    assert "databricks-gpt-99" in error["message"]
    assert "list_databricks_models" in error["hint"]


async def test_timeout_keeps_what_arrived(
    connect: Connect, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_NEWS_SECONDS", 0.01)
    seconds = 2.0 * DEADLINE_SECONDS
    async with connect("legacy", timeout_seconds=seconds, hand_over_seconds=3600) as host:
        with emulator.state.hold(after_events=6), settable_clock() as clock:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(
                    clock.advance_once, lambda: any("one two" in message for _, message in host.progress), seconds
                )
                content, facts, failed = await host.call(ASK, prompt="[[say one two three four]]")
    assert failed
    assert (facts["error"]["code"], facts["text"]) == ("timeout", "one two")
    assert content[0].text.endswith("Received before that:\none two")


async def test_not_configured_lists_the_ways_to_configure(connect: Connect) -> None:
    error = await error_of(connect, settings={"environ": {}}, prompt="Hi")
    assert error["code"] == "not_configured"
    assert "DATABRICKS_HOST" in error["hint"]
    assert "--embedded" in error["hint"]


async def test_unsupported_by_model_names_the_alternative(connect: Connect) -> None:
    error = await error_of(connect, prompt="Hi", extra={"previous_response_id": "resp_1"})
    assert error["code"] == "unsupported_by_model"
    assert "external" in error["hint"]


async def test_a_model_that_cannot_draw_is_unsupported_by_model(connect: Connect, emulator: RunningEmulator) -> None:
    claude = next(name for name in emulator.state.endpoints if "claude" in name)
    error = await error_of(connect, "generate_image", prompt="A cat", model=claude)
    assert error["code"] == "unsupported_by_model"


async def test_too_large_is_told_before_anything_is_sent(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "big.txt").write_text("x" * 2000, encoding="utf-8")
    error = await error_of(connect, settings={"max_file_bytes": 1000}, prompt="Hi", files=[str(tmp_path / "big.txt")])
    assert error["code"] == "too_large"
    assert emulator.state.request_log.to("/responses") == []


async def test_a_missing_file_is_not_found_by_its_name(connect: Connect, tmp_path: Path) -> None:
    error = await error_of(connect, prompt="Hi", files=[str(tmp_path / "absent.txt")])
    assert error["code"] == "not_found"
    assert "absent.txt" in error["message"]


BAD_CALLS: list[tuple[str, dict[str, Any], str]] = [
    (ASK, {}, "prompt: Field required"),
    (ASK, {"prompt": ""}, "prompt: String should have at least 1 character"),
    (ASK, {"prompt": "Hi", "temperature": 3}, "temperature"),
    (ASK, {"prompt": "Hi", "images": 5}, "images"),
    (ASK, {"prompt": "Hi", "modle": "x"}, "has no argument 'modle'. Did you mean 'model'?"),
    ("generate_image", {"prompt": "Hi", "n": 11}, "n: Input should be less than or equal to 10"),
    ("list_databricks_models", {"responses_only": "perhaps"}, "responses_only"),
]


@pytest.mark.parametrize(("tool", "arguments", "words"), BAD_CALLS)
async def test_wrong_arguments_are_named(connect: Connect, tool: str, arguments: dict[str, Any], words: str) -> None:
    error = await error_of(connect, tool, **arguments)
    assert error["code"] == "invalid_argument"
    assert words in f"{error['message']} {error['hint']}"


async def test_a_tool_that_does_not_exist_is_not_found(connect: Connect) -> None:
    error = await error_of(connect, "ask_databricks_modle", prompt="Hi")
    assert error == (
        {
            "code": "not_found",
            "message": "There is no tool 'ask_databricks_modle'.",
            "retryable": False,
            "hint": f"The tools are {', '.join(tool.name for tool in all_tools())}.",
        }
    )


async def test_a_defect_is_internal_and_its_text_stays_in_the_log(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(ask_databricks_model, "prompt_with_files", crash)
    error = await error_of(connect, prompt="Hi")
    assert (error["code"], error["retryable"]) == ("internal", False)
    assert "secret detail" not in str(error)
    assert "secret detail" in caplog.text


async def test_an_error_inside_the_stream_is_told_like_one_before_it(
    connect: Connect, emulator: RunningEmulator
) -> None:
    emulator.state.faults.add("failed:3")
    error = await error_of(connect, prompt="Hi")
    assert error["code"] == "upstream_error"


def test_no_code_of_the_contract_is_left_untested() -> None:
    """Codes that this version cannot give are named here; the rest appear in this file."""
    source = Path(__file__).read_text(encoding="utf-8")
    later = {ErrorCode.BUDGET_EXCEEDED}
    elsewhere = {ErrorCode.CANCELLED}
    missing = [code for code in ErrorCode if code not in later | elsewhere and f'"{code.value}"' not in source]
    assert missing == []


async def test_a_failure_does_not_take_other_calls_with_it(connect: Connect, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("drop")
    results: list[bool] = []
    async with connect() as host:

        async def one() -> None:
            _, _, failed = await host.call(ASK, prompt="Hi")
            results.append(failed)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one)
    assert sorted(results) == [False, False, False, False, True]
