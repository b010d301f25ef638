"""One suite, three stores: `stores` opens any number of them on the same file, server or memory."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store
from databricks_responses_mcp.store.memory import MemoryStore
from harness.postgres_server import PostgresServer, postgres_server

OpenStore = Callable[..., Store]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this process."""
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """All kinds of store."""
    return str(request.param)


@pytest.fixture
async def stores(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[OpenStore]:
    """Opens stores that share what they keep; in memory it is always the same one, for each owner.

    The server keeps what other tests have left: each test has owners of its own.
    """
    opened: list[Store] = []
    in_memory: dict[str, Store] = {}
    test = uuid.uuid4().hex

    def opens(owner: str = "") -> Store:
        if kind == "memory":
            store = in_memory.setdefault(owner, MemoryStore(owner))
        elif kind == "sqlite":
            store = open_store(str(tmp_path / "store.db"), owner=owner)
        else:
            store = open_store(request.getfixturevalue("postgres").url(), owner=f"{test} {owner}")
        opened.append(store)
        return store

    yield opens
    for store in opened:
        await store.aclose()


@pytest.fixture
def store(stores: OpenStore) -> Store:
    """An empty store."""
    return stores()
