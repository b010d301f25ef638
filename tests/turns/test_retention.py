"""Which store the settings open, and who gets to see the workspace's token."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic import SecretStr

from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.turns.retention import accepts_token, open_configured_store
from databricks_responses_mcp.workspace.credentials import Credentials, TokenCredentials
from databricks_responses_mcp.workspace.host import normalise_host
from databricks_responses_mcp.workspace.settings import Settings
from harness.postgres_server import postgres_server
from harness.tls_front import tls_front

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("store", "takes"),
    [
        ("postgresql://me%40example.com@ep-abc-123.databricks.com/databricks_postgres", True),
        ("postgresql://me@instance-1.database.cloud.databricks.com:5432/db?sslmode=verify-full", True),
        ("POSTGRES://me@instance-1.database.azuredatabricks.net/db", True),
        ("postgresql://role:password@ep-abc-123.databricks.com/db", False),
        ("postgresql://role@ep-abc-123.databricks.com/db?password=p", False),
        ("postgresql://role@ep-abc-123.databricks.com/db?host=elsewhere.example", False),
        ("postgresql://role@ep-abc-123.databricks.com,elsewhere.example/db", False),
        ("postgresql://role@ep-abc-123.databricks.com.elsewhere.example/db", False),
        ("postgresql://role@localhost/db", False),
        ("postgresql:///db", False),
        ("/data/databricks.com", False),
        ("off", False),
    ],
)
def test_only_a_databricks_database_gets_the_token(store: str, takes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert accepts_token(store) is takes
    monkeypatch.setenv("PGPASSWORD", "secret")
    assert accepts_token(store) is False


def nobody() -> Credentials:
    raise AssertionError("a store of one's own needs no sign-in")


async def test_other_stores_are_opened_without_signing_in(tmp_path: Path) -> None:
    with postgres_server() as server:
        for store in (server.url(), str(tmp_path / "store.db"), "off"):
            opened = open_configured_store(Settings(store=SecretStr(store)), nobody)
            assert await opened.conversations() == []
            await opened.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("sslmode", ["", "?sslmode=require", "?sslmode=prefer", "?sslmode=disable"])
async def test_the_token_is_sent_only_to_a_database_with_a_valid_certificate(
    sslmode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "instance-1.database.cloud.databricks.com"
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    for variable in ("PGPASSWORD", "PGSSLROOTCERT"):
        monkeypatch.delenv(variable, raising=False)
    with postgres_server() as server:
        credentials = TokenCredentials(normalise_host("https://dbc-1.cloud.databricks.com"), unquote(server.password))
        async with tls_front(name, server.port) as front:
            url = f"postgresql://postgres@{name}:{front.port}/postgres{sslmode}"
            untrusted = open_configured_store(Settings(store=SecretStr(url)), lambda: credentials)
            with pytest.raises(StoreError, match="its certificate is valid for that host"):
                await untrusted.conversations()
            monkeypatch.setenv("PGSSLROOTCERT", str(front.certificate))
            trusted = open_configured_store(Settings(store=SecretStr(url)), lambda: credentials)
            assert await trusted.conversations() == []
            await trusted.aclose()
        async with tls_front("elsewhere.example", server.port) as other:
            monkeypatch.setenv("PGSSLROOTCERT", str(other.certificate))
            renamed = url.replace(str(front.port), str(other.port))
            elsewhere = open_configured_store(Settings(store=SecretStr(renamed)), lambda: credentials)
            with pytest.raises(StoreError, match="its certificate is valid for that host"):
                await elsewhere.conversations()
