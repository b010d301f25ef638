"""What is logged of a call: one record with who, what and how it ended, whichever way it ends, and none of its text."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp import Client

from databricks_responses_mcp.calls.call_log import AuditLog, User
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.cli.logs import configure_logging
from databricks_responses_mcp.server import build_server_of
from databricks_responses_mcp.service.audit import AuditFile, AuditTable
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host, settings_for
from harness.policies import policy_of

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
USER = User(issuer="https://issuer.example", subject="u-1", name="alice@example.com")
VARYING = ("time", "call_id", "seconds", "job_id", "conversation_id")


def audit_file(tmp_path: Path, *, is_strict: bool = False) -> AuditFile:
    return AuditFile(tmp_path / "audit.jsonl", max_bytes=10**6, max_files=1, is_strict=is_strict)


def records(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the records of the file, with the values that differ each time replaced by their types."""
    lines = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: type(value).__name__ if key in VARYING else value for key, value in json.loads(line).items()}
        for line in lines
    ]


@asynccontextmanager
async def connected(
    emulator: RunningEmulator, tmp_path: Path, audit: AuditLog, *, policy: str = "", **settings: Any
) -> AsyncIterator[Host]:
    bridge = Bridge(settings_for(emulator, tmp_path, **settings), {}, policy=policy_of(policy))

    @asynccontextmanager
    async def open_apps() -> AsyncIterator[App]:
        yield App(bridge, user=USER, audit=audit)
        await bridge.aclose()

    async with Client(build_server_of(open_apps), mode="2026-07-28") as client:
        yield Host(client)


async def test_a_completed_call_is_recorded_without_its_text(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with connected(emulator, tmp_path, audit_file(tmp_path)) as host:
        await host.call(ASK, prompt="PROMPT-WORD [[say ANSWER-WORD]]", instructions="OTHER-WORD")
        await host.call("list_databricks_models")
    assert records(tmp_path) == snapshot(
        [
            {
                "time": "str",
                "event": "ended",
                "request_id": "",
                "call_id": "str",
                "issuer": "https://issuer.example",
                "subject": "u-1",
                "user": "alice@example.com",
                "client": "mcp 0.1.0",
                "tool": "ask_databricks_model",
                "models": ["databricks-gpt-5"],
                "surfaces": ["responses"],
                "conversation_id": "str",
                "job_id": "str",
                "requests": 1,
                "input_tokens": 22,
                "output_tokens": 3,
                "cached_tokens": 0,
                "outcome": "completed",
                "seconds": "float",
            },
            {
                "time": "str",
                "event": "ended",
                "request_id": "",
                "call_id": "str",
                "issuer": "https://issuer.example",
                "subject": "u-1",
                "user": "alice@example.com",
                "client": "mcp 0.1.0",
                "tool": "list_databricks_models",
                "models": [],
                "surfaces": [],
                "job_id": "str",
                "requests": 0,
                "input_tokens": 0,
                "output_tokens": 0,
                "cached_tokens": 0,
                "outcome": "completed",
                "seconds": "float",
            },
        ]
    )
    assert "WORD" not in (tmp_path / "audit.jsonl").read_text(encoding="utf-8")


async def test_a_refused_and_a_failed_call_are_recorded_with_their_reason(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    policy = 'default = { models.deny = ["*opus*"], tools.allow = ["ask_*"] }'
    async with connected(emulator, tmp_path, audit_file(tmp_path), policy=policy, max_retries=0) as host:
        await host.call(ASK, prompt="Hi", model="databricks-claude-opus-4-1")
        await host.call("generate_image", prompt="Hi")
        await host.call(ASK, prompt="Hi", model="databricks-gpt-none")
        await host.call(ASK, prompt=7)
    told = [[record["tool"], record["outcome"], record["error"], record.get("rule")] for record in records(tmp_path)]
    assert told == snapshot(
        [
            ["ask_databricks_model", "refused", "permission_denied", '[default] models.deny "*opus*"'],
            ["generate_image", "refused", "permission_denied", '[default] tools.allow = ["ask_*"]'],
            ["ask_databricks_model", "failed", "model_not_found", None],
            ["ask_databricks_model", "failed", "invalid_argument", None],
        ]
    )


async def test_a_repeated_call_is_recorded_as_such(emulator: RunningEmulator, tmp_path: Path) -> None:
    # The limit is reached by the first call: the second one sends nothing.
    policy = "default.requests_per_minute = 1"
    async with connected(emulator, tmp_path, audit_file(tmp_path), policy=policy) as host:
        for _ in range(2):
            _, facts, _ = await host.call(ASK, prompt="[[say hello]]", idempotency_key="k")
            assert facts["text"] == "hello"
    assert [(record["outcome"], record["requests"]) for record in records(tmp_path)] == [
        ("completed", 1),
        ("repeated", 0),
    ]


async def test_a_call_that_was_handed_over_is_recorded_when_it_ends(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with connected(emulator, tmp_path, audit_file(tmp_path), hand_over_seconds=0.001) as host:
        _, facts, _ = await host.call(ASK, prompt="[[say hello]]")
        assert facts["status"] == "running"
        await host.call("get_response", response_id=facts["response_id"])
    ended = {record["tool"]: (record["outcome"], record["requests"]) for record in records(tmp_path)}
    assert ended == {ASK: ("completed", 1), "get_response": ("completed", 0)}


async def test_the_table_of_the_store_takes_the_same_records(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = Bridge(settings_for(emulator, tmp_path), {})
    store = bridge.store.for_owner("alice")
    async with connected(emulator, tmp_path, AuditTable(store, is_strict=True)) as host:
        await host.call(ASK, prompt="[[say hello]]")
    await bridge.aclose()
    import sqlite3

    connection = sqlite3.connect(tmp_path / "store" / "conversations.db")
    rows = connection.execute("SELECT owner, record FROM audit ORDER BY created_at").fetchall()
    connection.close()
    assert [(owner, json.loads(record)["event"]) for owner, record in rows] == [("alice", "begun"), ("alice", "ended")]


async def test_a_strict_log_that_cannot_be_written_lets_nothing_be_spent(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    async with connected(emulator, tmp_path, audit_file(tmp_path, is_strict=True)) as host:
        _, facts, failed = await host.call(ASK, prompt="Hi")
        _, _, other_failed = await host.call("list_databricks_models")
    assert failed
    assert facts["error"]["code"] == "internal"
    assert "was not begun, because the audit log cannot be written" in facts["error"]["message"]
    assert not other_failed
    assert not [exchange for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"]


async def test_another_log_that_cannot_be_written_is_logged_and_stops_no_call(
    emulator: RunningEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    async with connected(emulator, tmp_path, audit_file(tmp_path)) as host:
        _, facts, failed = await host.call(ASK, prompt="[[say hello]]")
    assert not failed, facts
    (line,) = (record for record in caplog.records if "lacks a record" in record.getMessage())
    assert line.levelno == logging.ERROR
    assert line.__dict__["fields"]["user_id"] == "u-1"


async def test_a_line_of_the_log_has_the_ids_of_the_user_and_the_call(
    emulator: RunningEmulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, ours = logging.getLogger(), logging.getLogger("databricks_responses_mcp")
    before = (root.handlers[:], root.level, ours.level)
    configure_logging("INFO", "json")
    try:
        async with connected(emulator, tmp_path, audit_file(tmp_path)) as host:
            await host.call(ASK, prompt="PROMPT-WORD [[say ANSWER-WORD]]")
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])
    told = capfd.readouterr().err
    assert "WORD" not in told
    lines = [json.loads(line) for line in told.splitlines()]
    (line,) = (line for line in lines if "ended" in line["message"])
    assert line["message"].startswith(f"{ASK} ended: outcome=completed")
    assert (line["user_id"], line["request_id"], len(line["call_id"])) == ("u-1", "", 16)
    await anyio.lowlevel.checkpoint()


async def test_over_stdio_the_end_of_a_call_is_not_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with connect() as host:
        _, _, failed = await host.call(ASK, prompt="[[say hello]]")
    assert not failed
    assert not [record for record in caplog.records if "ended" in record.getMessage()]
