"""Where a ``postgresql://`` URL leads."""

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Any

import certifi

from databricks_responses_mcp.store.interface import StoreError

_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A database to connect to.

    Attributes:
        label: what the user is shown.
        parameters: for the driver; may hold a password, so they are never shown.
    """

    label: str
    parameters: dict[str, Any] = field(repr=False)


def target(url: str, *, certified: bool = False) -> Target:
    """Read the URL. Without ``sslmode``, in it or in ``PGSSLMODE``, TLS is required, but on this machine.

    Args:
        certified: connect to another machine only if it has a valid certificate for its name, whatever the URL or the
            environment says: ``sslmode=require`` encrypts, and would hand a password to whoever answers.

    Raises:
        StoreError: if it cannot be read. The text does not repeat the URL: it may hold a password.
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
    hosts = [host for host in str(given.get("host") or os.environ.get("PGHOST") or "").split(",") if host]
    parameters: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "databricks-responses-mcp",
        "keepalives_idle": 30,
        **given,
    }
    is_elsewhere = not all(map(_is_here, hosts))
    if is_elsewhere and not os.environ.get("PGSSLMODE"):
        parameters.setdefault("sslmode", "require")
    if is_elsewhere and certified:
        # GSSAPI encryption comes before TLS and would take its place.
        parameters |= {"sslmode": "verify-full", "gssencmode": "disable"}
        if not os.environ.get("PGSSLROOTCERT"):
            parameters.setdefault("sslrootcert", certifi.where())
    database = given.get("dbname") or os.environ.get("PGDATABASE") or ""
    return Target(f"PostgreSQL at {', '.join(hosts) or 'this machine'}/{database}", parameters)


def _is_here(host: str) -> bool:
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
