"""The official conformance suite on the real server, against both of the revisions that it speaks."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from mcp import Client

from databricks_workspace_emulator.server import RunningEmulator
from harness import Host, npm
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import environment

pytestmark = [pytest.mark.anyio, pytest.mark.conformance]

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
SERVER = Path(__file__).parent / "server.py"

NO_LISTEN = "the bridge's lists never change, so it serves no subscriptions/listen and declares no listChanged"
NOT_APPLICABLE = {
    "2025-11-25": {},
    "2026-07-28": {
        "sep-2575-server-sends-subscription-ack": NO_LISTEN,
        "sep-2575-server-tags-subscription-id": NO_LISTEN,
        "sep-2575-server-honors-notification-filter": NO_LISTEN,
        "sep-2575-server-sends-prompts-list-changed-on-subscription": NO_LISTEN,
        "sep-2575-server-sends-tools-list-changed-on-subscription": NO_LISTEN,
    },
}
"""Scored checks that the suite itself skips on this server, and why."""

NO_SCENARIO = "the suite itself skips it: its harness awaits a rewrite"
NO_RESUMING = "a broken stream cannot be resumed: the server keeps no events, and 2026-07-28 took resuming out"
UNSCORED = {
    "2025-11-25": {"server-sse-polling": NO_RESUMING},
    "2026-07-28": {"tasks-status-notifications": NO_SCENARIO},
}
"""Scenarios that do not count for a revision and that are not passed whole, and why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One verdict of the suite; ``status`` is SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    scenario: str
    id: str
    status: str
    message: str


@pytest.fixture
def path() -> str:
    """A PATH with the suite on it."""
    return npm.npm_path(SUITE)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_every_check_that_a_revision_scores_is_passed(
    path: str, emulator: RunningEmulator, tmp_path: Path, revision: str
) -> None:
    async with _serving(emulator, tmp_path) as url:
        command = ["conformance", "server", "--url", url, "--requirements", revision, "-o", str(tmp_path / "verdicts")]
        with anyio.fail_after(DEADLINE_SECONDS):
            done = await anyio.run_process(
                command, env={**os.environ, "PATH": path}, check=False, stderr=subprocess.STDOUT
            )
    checks = _checks(tmp_path / "verdicts")
    required, unscored = _requirements(revision)
    assert {check.scenario for check in checks} == required | unscored, done.stdout.decode()

    scored = [check for check in checks if check.scenario in required]
    failing = [check for check in scored if check.status not in ("SUCCESS", "INFO", "SKIPPED")]
    said = "\n".join(f"{check.scenario}: {check.status} {check.id}: {check.message}" for check in failing)
    assert failing == [], f"{said}\n\n{(tmp_path / 'server.log').read_text(encoding='utf-8')}"
    assert {check.id for check in scored if check.status == "SKIPPED"} == NOT_APPLICABLE[revision].keys()
    assert done.returncode == 0

    not_whole = {check.scenario for check in checks if check.status in ("FAILURE", "WARNING", "SKIPPED")}
    assert not_whole - required == UNSCORED[revision].keys()


@asynccontextmanager
async def _serving(emulator: RunningEmulator, tmp_path: Path) -> AsyncIterator[str]:
    """The server with the suite's fixtures, as a process; its own tools have answered once, so all is imported."""
    env = environment(emulator, tmp_path)
    with (tmp_path / "server.log").open("wb") as log:
        process = await anyio.open_process([sys.executable, str(SERVER)], env=env, stdout=subprocess.PIPE, stderr=log)
    async with process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(DEADLINE_SECONDS):
                url = (await process.stdout.receive()).decode().strip()
                async with Client(url) as client:
                    _, facts, failed = await Host(client).call("ask_databricks_model", prompt="[[say ready]]")
            assert (failed, facts["text"]) == (False, "ready")
            yield url
        finally:
            if process.returncode is None:
                process.kill()


def _checks(folder: Path) -> list[Check]:
    found: list[Check] = []
    for file in sorted(folder.glob("*/checks.json")):
        name = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\dZ-]+", file.parent.name)
        assert name is not None, file
        found += [
            Check(name[1], check["id"], check["status"], check.get("errorMessage") or "")
            for check in json.loads(file.read_text(encoding="utf-8"))
        ]
    return found


def _requirements(revision: str) -> tuple[set[str], set[str]]:
    """The scenarios that count for a revision, and those that are run beside them."""
    package = npm.npm_bin(SUITE).parent / SUITE.rpartition("@")[0]
    text = (package / "requirements" / f"{revision}.yaml").read_text(encoding="utf-8")
    listed: dict[str, Any] = yaml.safe_load(text)
    unscored = {entry["scenario"] for entry in listed["not_scored"] if entry["leg"] == "server"}
    return set(listed["server"]), unscored
