"""Probes of a service: what they are answered, and that many of them check the store and the workspace only once."""

import json
import signal
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from starlette.responses import PlainTextResponse

from databricks_responses_mcp.service import health as health_module
from databricks_responses_mcp.service.health import Health, HealthRoutes, checks_of
from databricks_responses_mcp.service.plain_http import PlainHttp
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.deadlines import DEADLINE_SECONDS
from harness.postgres_server import postgres_server

pytestmark = pytest.mark.anyio


async def probe(health: Health, path: str, method: str = "GET") -> tuple[int, Any]:
    """Send one probe; returns the status and the body."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body of a probe is not read")

    async def send(message: Any) -> None:
        sent.append(message)

    app = HealthRoutes(PlainTextResponse("the service"), health)
    await app({"type": "http", "method": method, "path": path, "headers": []}, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body) if body.startswith(b"{") else body.decode()


async def test_a_service_is_ready_while_its_parts_work() -> None:
    async def fine() -> None: ...

    async def broken() -> None:
        raise OSError("postgresql://user:secret@host is down")

    async def hung() -> None:
        await anyio.sleep(3600)

    health = Health({"store": fine, "workspace": fine})
    assert await probe(health, "/healthz") == (200, {"status": "alive"})
    assert await probe(health, "/readyz") == (200, {"status": "ready", "store": "ok", "workspace": "ok"})
    assert await probe(health, "/readyz", "POST") == (405, "")
    assert await probe(health, "/mcp") == (200, "the service")
    health = Health({"store": broken, "workspace": fine})
    assert await probe(health, "/readyz") == (503, {"status": "not ready", "store": "failed", "workspace": "ok"})
    health.is_draining = True
    assert await probe(health, "/readyz") == (503, {"status": "draining"})
    assert await probe(health, "/healthz") == (200, {"status": "alive"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health_module, "_CHECK_SECONDS", 0.05)
        health = Health({"store": hung})
        assert await probe(health, "/readyz") == (503, {"status": "not ready", "store": "failed"})


async def test_many_probes_look_once() -> None:
    looked = 0

    async def look() -> None:
        nonlocal looked
        looked += 1
        await anyio.lowlevel.checkpoint()

    health = Health({"workspace": look})
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(probe, health, "/readyz")
    with anyio.CancelScope() as impatient:
        impatient.cancel()
        await probe(health, "/readyz")
    assert looked == 1


async def test_the_store_and_the_workspace_are_looked_at_without_anybodys_credentials(
    emulator: RunningEmulator, bridge: Bridge
) -> None:
    checks = checks_of(bridge, PlainHttp())
    health = Health(checks)
    assert await health.states() == {"store": "ok", "workspace": "ok"}
    before = len(emulator.state.request_log.exchanges)
    await health.states()
    assert len(emulator.state.request_log.exchanges) == before
    await bridge.store.aclose()
    unreachable = Bridge(bridge.settings.model_copy(update={"host": "http://127.0.0.1:9"}), {})
    try:
        assert (await Health(checks_of(unreachable, PlainHttp())).states())["workspace"] == "failed"
    finally:
        await unreachable.aclose()


@pytest.mark.slow  # a database server
async def test_a_service_whose_database_is_closed_or_gone_is_not_ready_until_it_is_back(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "_REMEMBERED_SECONDS", -1.0)
    monkeypatch.setattr(health_module, "_CHECK_SECONDS", DEADLINE_SECONDS)
    with postgres_server() as postgres:
        url = postgres.new_database()
        settings = settings_for(emulator, tmp_path, store=url)
        database = url.rsplit("/", 1)[1]

        def allow(connections: bool) -> None:
            with psycopg.connect(postgres.url(), autocommit=True) as connection:
                connection.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS {connections}".encode())
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
                )

        async with open_bridge(settings, {}) as bridge:
            health = Health(checks_of(bridge, PlainHttp()))
            assert (await health.states())["store"] == "ok"
            allow(False)
            assert (await health.states())["store"] == "failed"
            allow(True)
            assert (await health.states())["store"] == "ok"
            postgres.process.send_signal(signal.SIGQUIT)
            postgres.process.wait(DEADLINE_SECONDS)
            assert await health.states() == {"store": "failed", "workspace": "ok"}
