"""Fixtures that run one suite with three kinds of store; `stores` opens several on the same data."""

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
    """Start a server for all tests of this process."""
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return each kind of store in turn."""
    return str(request.param)


@pytest.fixture
async def stores(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[OpenStore]:
    """Return a function that opens stores with shared data; in memory it returns one store for each owner.

    All tests share the server, so each test has owners of its own.
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
    """Open an empty store."""
    return stores()
