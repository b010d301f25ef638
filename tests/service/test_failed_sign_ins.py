"""The log of failed sign-ins: the reason, where they came from and which request it was, and no more than is useful."""

import json
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.service import failed_sign_ins
from databricks_responses_mcp.service.failed_sign_ins import FailedSignIns
from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.team_service import TeamServer, bearer, keys_in, team_server

pytestmark = pytest.mark.anyio

BODY = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
SCOPE = {"type": "http", "client": ("192.0.2.7", 5000), "state": {"request_id": "r"}}


async def lines_about_sign_ins(serving: TeamServer, number: int) -> list[dict[str, Any]]:
    """Return this many lines of the log, without what is other at each run."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while True:
            found = [line for line in "".join(serving.printed).splitlines() if ".failed_sign_ins" in line]
            if len(found) >= number:
                return [{k: v for k, v in json.loads(line).items() if k not in ("time", "logger")} for line in found]
            await anyio.sleep(0.02)


async def test_each_refused_credential_is_logged_with_its_reason_and_sender(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    keys_in(tmp_path / "keys", "ada")
    tries: dict[str, list[tuple[str, str]]] = {
        "nothing": [],
        "removed": list(bearer(keys["bob"]).items()),
        "another-kind": [("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")],
        "basic": [("Authorization", "Basic YWRhOnNlY3JldA==")],
        "two": [*bearer(keys["ada"]).items(), *bearer(keys["bob"]).items()],
        "forwarded": [("X-Forwarded-User", "ada"), ("X-Forwarded-Access-Token", "token-of-ada")],
    }
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:
        statuses = [
            (await serving.send("POST", "/mcp", BODY, [*headers, ("X-Request-Id", name)])).status_code
            for name, headers in tries.items()
        ]
        logged = await lines_about_sign_ins(serving, 4)
    assert statuses == [401] * len(tries)
    assert logged == snapshot(
        [
            {
                "level": "WARNING",
                "message": "a sign-in failed: there is no such static key",
                "request_id": "removed",
                "address": "127.0.0.1",
            },
            {
                "level": "WARNING",
                "message": "a sign-in failed: the token is not a static key, and there is no OAuth issuer",
                "request_id": "another-kind",
                "address": "127.0.0.1",
            },
            {
                "level": "WARNING",
                "message": "a sign-in failed: the Authorization header has no token that is valid here",
                "request_id": "basic",
                "address": "127.0.0.1",
            },
            {
                "level": "WARNING",
                "message": "a sign-in failed: The request has more than one Authorization header. Send one.",
                "request_id": "two",
                "address": "127.0.0.1",
            },
        ]
    )
    printed = "".join(serving.printed)
    assert not any(
        secret in printed for secret in (*keys.values(), "eyJhbGciOiJub25lIn0", "YWRhOnNlY3JldA", "token-of")
    )


def test_of_very_many_failures_the_number_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    failed = FailedSignIns(most_per_minute=2)
    for _ in range(1000):
        failed.report(SCOPE, "no such key")
    monkeypatch.setattr(failed_sign_ins, "_MINUTE", 0.0)
    failed.report(SCOPE, "the token has expired", is_routine=True)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == snapshot(
        [
            ("WARNING", "a sign-in failed: no such key"),
            ("WARNING", "a sign-in failed: no such key"),
            ("WARNING", "more failed sign-ins of this minute are only counted"),
            ("WARNING", "998 more sign-ins had failed in that minute"),
            ("INFO", "a sign-in failed: the token has expired"),
        ]
    )


@pytest.mark.parametrize("scope", [{"type": "http"}, {"type": "http", "client": None, "state": {}}])
def test_a_request_without_an_address_is_logged(scope: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    FailedSignIns().report(scope, "no such key")
    assert [vars(record)["fields"] for record in caplog.records] == [{"request_id": "", "address": ""}]
