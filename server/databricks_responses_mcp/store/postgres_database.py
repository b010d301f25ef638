"""A PostgreSQL database for conversations: parsing its URL, migrating its schema, explaining its errors.

The driver is an optional dependency, so it is imported where it is used.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import certifi

from databricks_responses_mcp.store.interface import ConstraintError, SignIn, StoreError
from databricks_responses_mcp.store.schema import VERSION, Database, migration_statements, newer_schema_message

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A database to connect to.

    Attributes:
        label: its description for the user.
        parameters: for the driver; may contain a password, so they are never shown.
    """

    label: str
    parameters: dict[str, Any] = field(repr=False)


def parse_url(url: str, *, sign_in: SignIn | None = None) -> Target:
    """Parse a URL. Without ``sslmode`` in it or in ``PGSSLMODE``, TLS is required except on this machine.

    Args:
        sign_in: what the connection is opened with besides. A valid certificate is then required of another machine,
            whatever the URL or the environment says: ``sslmode=require`` encrypts, but would send a password to any
            server.

    Raises:
        StoreError: if it cannot be parsed. The message does not contain the URL, which may include a password.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = conninfo_to_dict(url)
    except (ProgrammingError, ValueError):
        raise StoreError(
            "The PostgreSQL URL in RESPONSES_MCP_STORE cannot be read. Write"
            " postgresql://user:password@host:5432/database, with special characters of the password as %XX."
        ) from None
    if sign_in is not None:
        given["password"] = sign_in.password
        for key, variable, value in (
            ("host", "PGHOST", sign_in.host),
            ("user", "PGUSER", sign_in.user),
            ("dbname", "PGDATABASE", sign_in.database),
        ):
            if value is not None and not os.environ.get(variable):
                given.setdefault(key, value)
    hosts = [host for host in str(given.get("host") or os.environ.get("PGHOST") or "").split(",") if host]
    parameters: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "databricks-responses-mcp",
        "keepalives_idle": 30,
        **given,
        # Whatever the database's default is: it may not have all characters.
        "client_encoding": "UTF8",
    }
    is_remote = not all(map(_is_local, hosts))
    if is_remote and not os.environ.get("PGSSLMODE"):
        parameters.setdefault("sslmode", "require")
    if is_remote and sign_in is not None:
        # GSSAPI encryption would be tried first and replace TLS.
        parameters |= {"sslmode": "verify-full", "gssencmode": "disable"}
        if not os.environ.get("PGSSLROOTCERT"):
            parameters.setdefault("sslrootcert", certifi.where())
    database = given.get("dbname") or os.environ.get("PGDATABASE") or ""
    return Target(f"PostgreSQL at {', '.join(hosts) or 'this machine'}/{database}", parameters)


def _is_local(host: str) -> bool:
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


SCHEMA = "databricks_responses_mcp"
_LOCK = 0x4452_4D43


@cache
def dialect(sql: str) -> bytes:
    """Return a statement in the driver's syntax, with the tables of the schema."""
    return sql.replace("@", f"{SCHEMA}.").replace("?", "%s").encode()


async def migrate(connection: AsyncConnection[Any], where: str) -> None:
    """Upgrade the schema to `VERSION`.

    Raises:
        StoreError: if it is of a later version.
    """
    if await _check_version(connection, where) == VERSION:
        return
    await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    await connection.execute("SET LOCAL lock_timeout = '20s'")
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    # Another process may have been faster.
    version = await _check_version(connection, where)
    if version == 0:
        # If an administrator has created the schema, the user needs no permission to create one.
        cursor = await connection.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (SCHEMA,))
        if await cursor.fetchone() is None:
            await connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        await connection.execute(dialect("CREATE TABLE IF NOT EXISTS @schema_version (version BIGINT NOT NULL)"))
        await connection.execute(dialect("INSERT INTO @schema_version (version) VALUES (0)"))
    for statement in migration_statements(version, Database.POSTGRESQL):
        # Text is compared by its bytes, as in SQLite, whatever the database's locale.
        await connection.execute(dialect(statement.replace(" TEXT", ' TEXT COLLATE "C"')))
    await connection.execute(dialect("UPDATE @schema_version SET version = ?"), (VERSION,))
    await connection.execute("COMMIT")


async def _check_version(connection: AsyncConnection[Any], where: str) -> int:
    # Not to_regclass: it may use a cache without what another process has just committed.
    cursor = await connection.execute(
        "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'schema_version'", (SCHEMA,)
    )
    if await cursor.fetchone() is None:
        return 0
    cursor = await connection.execute(dialect("SELECT MAX(version) FROM @schema_version"))
    row = await cursor.fetchone()
    version = int(row[0] or 0) if row else 0
    if version > VERSION:
        raise StoreError(newer_schema_message(where, version))
    return version


MISSING_DRIVER = (
    "RESPONSES_MCP_STORE names a PostgreSQL database, and the driver for it is not installed."
    " Install it: pip install 'databricks-responses-mcp[postgres]'."
)


def explain_error(error: Exception, target: Target, deadline_seconds: float) -> StoreError:
    """Return the error for the user: what happened to which database, and what to do. It contains no password."""
    from psycopg import Error, IntegrityError, InterfaceError, OperationalError, errors

    where = target.label
    match error:
        case TimeoutError():
            text = (
                f"{where} did not answer in {deadline_seconds:g} seconds. Try again; check that it runs and is"
                " reachable."
            )
        case errors.DiskFull():
            text = f"The disk of {where} is full. Free some space on the server."
        case errors.ReadOnlySqlTransaction():
            text = f"{where} is read-only. Give RESPONSES_MCP_STORE the URL of the primary server."
        case errors.InsufficientPrivilege():
            text = (
                f"The database user lacks a permission in {where} ({_first_line(error, target)}). Grant it CREATE on"
                " the database, or make it the owner of a schema databricks_responses_mcp."
            )
        case errors.LockNotAvailable() | errors.QueryCanceled():
            text = (
                f"{where} is busy: a statement was stopped at its time limit ({_first_line(error, target)}). Try again;"
                " if it stays so, look for transactions that somebody has left open."
            )
        case InterfaceError() if "ProactorEventLoop" in str(error):
            text = (
                "PostgreSQL cannot be used as the store on Windows. Set RESPONSES_MCP_STORE to the path of a file, or"
                " run the server on Linux or macOS."
            )
        case OperationalError() | OSError() if target.parameters.get("sslmode") == "verify-full":
            text = (
                f"{where} cannot be reached ({_first_line(error, target)}). Check that it runs, that host and user in"
                " RESPONSES_MCP_STORE are right, and that its certificate is valid for that host: the password is"
                " sent to no other server. If a proxy inspects TLS, set PGSSLROOTCERT to the file with its CA."
            )
        case OperationalError() | OSError():
            text = (
                f"{where} cannot be reached ({_first_line(error, target)}). Check that it runs, that host, user and"
                " password in RESPONSES_MCP_STORE are right, and that it supports TLS, or else set sslmode."
            )
        case Error():
            text = (
                f"{where} refused a statement ({_first_line(error, target)}). Check that no other program changes its"
                " tables."
            )
            if isinstance(error, IntegrityError):
                return ConstraintError(text)
        case _:
            text = (
                f"The data in {where} is damaged ({type(error).__name__}). Delete the conversation, or restore a"
                " backup of the database."
            )
    return StoreError(text)


def _first_line(error: BaseException, target: Target) -> str:
    """Return the first line of the driver's message, without any secret of the URL."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for key in ("password", "sslpassword", "passfile"):
        secret = target.parameters.get(key)
        if secret:
            line = line.replace(str(secret), "***")
    return line
