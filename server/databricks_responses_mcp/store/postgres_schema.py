"""The schema in PostgreSQL: made and migrated by one process at a time."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.schema import VERSION, Database, migration_statements, newer

if TYPE_CHECKING:
    from psycopg import AsyncConnection

SCHEMA = "databricks_responses_mcp"
_LOCK = 0x4452_4D43


@cache
def dialect(sql: str) -> bytes:
    """A statement of `steps` as the driver takes it, with tables of our schema."""
    return sql.replace("@", f"{SCHEMA}.").replace("?", "%s").encode()


async def migrate(connection: AsyncConnection[Any], where: str) -> None:
    """Bring the schema to this release's, unless it is.

    Raises:
        StoreError: if a later release has made it.
    """
    if await _version(connection, where) == VERSION:
        return
    await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    await connection.execute("SET LOCAL lock_timeout = '20s'")
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    # Another process may have been faster.
    version = await _version(connection, where)
    if version == 0:
        # Where somebody made the schema for us, we need no right to make one.
        cursor = await connection.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (SCHEMA,))
        if await cursor.fetchone() is None:
            await connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        await connection.execute(dialect("CREATE TABLE IF NOT EXISTS @schema_version (version BIGINT NOT NULL)"))
        await connection.execute(dialect("INSERT INTO @schema_version (version) VALUES (0)"))
    for statement in migration_statements(version, Database.POSTGRESQL):
        # Text is compared by its bytes, as in SQLite, whatever the database's language.
        await connection.execute(dialect(statement.replace(" TEXT", ' TEXT COLLATE "C"')))
    await connection.execute(dialect("UPDATE @schema_version SET version = ?"), (VERSION,))
    await connection.execute("COMMIT")


async def _version(connection: AsyncConnection[Any], where: str) -> int:
    # Not to_regclass: it may answer from a cache that does not know what another process has just committed.
    cursor = await connection.execute(
        "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'schema_version'", (SCHEMA,)
    )
    if await cursor.fetchone() is None:
        return 0
    cursor = await connection.execute(dialect("SELECT MAX(version) FROM @schema_version"))
    row = await cursor.fetchone()
    version = int(row[0] or 0) if row else 0
    if version > VERSION:
        raise StoreError(newer(where, version))
    return version
