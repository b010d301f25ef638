"""A service on Lakebase: a new credential for each connection, from an API that the Databricks SDK understands."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
import psycopg
import pytest
from databricks.sdk import WorkspaceClient as DatabricksClient
from mcp import Client
from pydantic import SecretStr

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.service.database import open_service_store
from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.settings import Settings
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.lakebase_database import RealDatabase
from harness.postgres_server import PostgresServer, postgres_server
from harness.stdio_process import ASK
from harness.store_records import STATE, a_turn
from harness.team_service import bearer, keys_in, team_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ENDPOINT = "projects/team/branches/main/endpoints/primary"
CLIENT_ID = "7d2f6e1c-1111-4222-8333-944455566677"
OURS = "FROM pg_stat_activity WHERE application_name = 'databricks-responses-mcp'"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        with psycopg.connect(running.url(), autocommit=True) as admin:
            for user in (CLIENT_ID, "first"):
                admin.execute(f'CREATE ROLE "{user}" LOGIN SUPERUSER'.encode())
            admin.execute(b"CREATE DATABASE databricks_postgres")
        yield running


@pytest.fixture
def database(emulator: RunningEmulator, server: PostgresServer) -> RealDatabase:
    """Put the real server into the workspace, as an endpoint and as an instance."""
    database = RealDatabase("127.0.0.1", server=server, user=CLIENT_ID)
    emulator.state.lakebase.endpoints[ENDPOINT] = database
    emulator.state.lakebase.instances["team-db"] = database
    return database


def service_store(
    emulator: RunningEmulator, store: str | None, environ: Mapping[str, str], **service: Any
) -> tuple[Bridge, Store]:
    """Return the workspace as the service reaches it, and the service's store."""
    settings = Settings(
        host=emulator.host, token=SecretStr(emulator.token), store=None if store is None else SecretStr(store)
    )
    bridge = Bridge(settings, {})
    return bridge, open_service_store(settings, ServiceSettings(**service), lambda: bridge, environ)


def terminate(server: PostgresServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}".encode())


@pytest.mark.parametrize("kind", ["lakebase_endpoint", "lakebase_instance"])
async def test_each_connection_gets_a_new_credential_and_an_expired_one_is_not_used(
    emulator: RunningEmulator, server: PostgresServer, database: RealDatabase, kind: str
) -> None:
    name = ENDPOINT if kind == "lakebase_endpoint" else "team-db"
    bridge, store = service_store(
        emulator, f"postgresql://:{server.port}", {"DATABRICKS_CLIENT_ID": CLIENT_ID}, **{kind: name}
    )
    hers = store.for_owner(f"her {kind}")
    await hers.add_turn("conv", a_turn(1), STATE, title="")
    assert len(database.issued) == 1

    database.expire()
    await hers.add_turn("conv", a_turn(2), STATE, title="")
    assert len(database.issued) == 1, "an open connection outlives its credential"

    terminate(server)
    await hers.add_turn("conv", a_turn(3), STATE, title="")
    assert len(database.issued) == 2
    assert await hers.count_conversations() == 1
    await store.aclose()
    await bridge.aclose()


async def test_the_environment_of_a_databricks_app_names_the_database(
    emulator: RunningEmulator, server: PostgresServer, database: RealDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGDATABASE": "databricks_postgres",
        "PGUSER": CLIENT_ID,
        "PGSSLMODE": "prefer",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)  # the driver itself reads them
    bridge, store = service_store(emulator, "Lakebase", given, lakebase_endpoint=ENDPOINT)

    assert await store.for_owner("app").conversations() == []
    assert [exchange.path for exchange in emulator.state.request_log.exchanges] == ["/api/2.0/postgres/credentials"]
    await store.aclose()
    await bridge.aclose()


async def test_a_service_as_a_process_keeps_each_users_conversations_in_its_database(
    emulator: RunningEmulator, server: PostgresServer, database: RealDatabase, tmp_path: Path
) -> None:
    database.user = "first"
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    given = {
        "RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"),
        "RESPONSES_MCP_SERVICE_LAKEBASE_ENDPOINT": ENDPOINT,
        "RESPONSES_MCP_SERVICE_DATABASE_CONNECTIONS": "1",  # each new credential invalidates the one before
        "RESPONSES_MCP_STORE": "lakebase",
        "PGPORT": str(server.port),
    }
    counts: dict[str, int] = {}
    async with team_server(emulator, tmp_path, **given) as serving:
        assert (await serving.send("GET", "/readyz")).json()["store"] == "ok"
        for name in ("ada", "bob"):
            async with Client(serving.transport(bearer(keys[name])), mode="2026-07-28") as client:
                _, facts, failed = await Host(client).call(ASK, prompt=f"[[say {name}]]")
                assert (failed, facts["text"]) == (False, name)
                terminate(server)
                _, facts, _ = await Host(client).call("manage_conversations", action="list")
                counts[name] = len(facts["conversations"])
    assert counts == {"ada": 1, "bob": 1}
    assert len(database.issued) >= 3
    assert not any(credential in "".join(serving.printed) for credential in database.issued)


async def test_a_user_without_a_client_id_signs_in_by_name(
    emulator: RunningEmulator, server: PostgresServer, database: RealDatabase
) -> None:
    database.user = "first"
    bridge, store = service_store(emulator, f"postgresql://127.0.0.1:{server.port}/", {}, lakebase_endpoint=ENDPOINT)

    assert await store.for_owner("user").conversations() == []
    await store.aclose()
    await bridge.aclose()


async def test_a_database_that_is_unknown_to_the_workspace_is_reported(emulator: RunningEmulator) -> None:
    bridge, store = service_store(emulator, "postgresql://127.0.0.1:1/", {}, lakebase_endpoint=ENDPOINT)

    with pytest.raises(StoreError) as refused:
        await store.conversations()

    assert str(refused.value) == (
        "There is no password for PostgreSQL at 127.0.0.1/: The workspace does not give the Lakebase endpoint "
        f"'{ENDPOINT}' to this service (HTTP 404). Check its name, and that the service's identity may use the "
        "database; in a Databricks App, that the database is one of the app's resources."
    )
    await bridge.aclose()


@pytest.mark.parametrize(
    ("store", "service", "code"),
    [
        ("lakebase", {}, ErrorCode.NOT_CONFIGURED),
        (None, {"lakebase_endpoint": ENDPOINT}, ErrorCode.INVALID_ARGUMENT),
        ("off", {"lakebase_endpoint": ENDPOINT}, ErrorCode.INVALID_ARGUMENT),
        ("postgresql://me:secret@db.example/x", {"lakebase_instance": "x"}, ErrorCode.INVALID_ARGUMENT),
        ("lakebase", {"lakebase_endpoint": ENDPOINT, "lakebase_instance": "x"}, ErrorCode.INVALID_ARGUMENT),
    ],
)
async def test_contradictory_settings_are_refused(
    emulator: RunningEmulator, store: str | None, service: dict[str, Any], code: ErrorCode
) -> None:
    with pytest.raises(BridgeError) as refused:
        service_store(emulator, store, {}, **service)

    assert refused.value.code is code
    assert "secret" not in str(refused.value)


async def test_the_databricks_sdk_understands_the_stand_in(emulator: RunningEmulator, database: RealDatabase) -> None:
    def ask() -> tuple[object, ...]:
        sdk = DatabricksClient(host=emulator.host, token=emulator.token)
        new = sdk.postgres.generate_database_credential(endpoint=ENDPOINT)
        endpoint = sdk.postgres.get_endpoint(ENDPOINT)
        old = sdk.database.generate_database_credential(instance_names=["team-db"])
        instance = sdk.database.get_database_instance("team-db")
        assert endpoint.status is not None
        assert endpoint.status.hosts is not None
        assert new.expire_time is not None
        return (
            [new.token, old.token],
            endpoint.status.hosts.host,
            instance.read_write_dns,
            sdk.current_user.me().user_name,
            new.expire_time.ToJsonString() == old.expiration_time,
        )

    issued, *rest = await anyio.to_thread.run_sync(ask)

    assert issued == database.issued
    assert rest[:3] == ["127.0.0.1", "127.0.0.1", "first"]
