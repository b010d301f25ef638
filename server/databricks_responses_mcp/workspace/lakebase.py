"""Credentials of Lakebase, the PostgreSQL databases of Databricks: each is for one database, and ends within an hour.

A new one is requested for each new connection; an open connection outlives the credential that it was opened with.
"""

import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted

if TYPE_CHECKING:
    from databricks_responses_mcp.workspace.http import WorkspaceClient


class LakebaseKind(Enum):
    """The two generations of Lakebase, which have an API each."""

    ENDPOINT = "endpoint"
    """Autoscaling: an endpoint of a branch of a project."""

    INSTANCE = "instance"
    """Provisioned: a database instance."""


@dataclass(frozen=True, slots=True)
class LakebaseDatabase:
    """The database to sign in to.

    Attributes:
        name: ``projects/P/branches/B/endpoints/E`` of an endpoint; the name of an instance.
    """

    kind: LakebaseKind
    name: str

    @property
    def label(self) -> str:
        """The name of the database in errors."""
        return f"the Lakebase {self.kind.value} {quoted(self.name)}"


class Lakebase:
    """Signs in to a Lakebase database as the service.

    Args:
        database: which one.
        client: returns the client of the workspace, signed in as the service.
        environ: the environment, whose ``DATABRICKS_CLIENT_ID`` is the database user of a service principal.
    """

    def __init__(
        self,
        database: LakebaseDatabase,
        client: "Callable[[], WorkspaceClient]",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._database = database
        self._client = client
        self._environ = environ

    async def password(self) -> str:
        """Return a new credential, which ends within an hour.

        Raises:
            BridgeError: if the workspace does not issue one.
        """
        body: dict[str, Any]
        if self._database.kind is LakebaseKind.ENDPOINT:
            path, body = "/api/2.0/postgres/credentials", {"endpoint": self._database.name}
        else:
            path = "/api/2.0/database/credentials"
            body = {"instance_names": [self._database.name], "request_id": str(uuid.uuid4())}
        return self._text(await self._ask(self._client().post_json(path, body)), "credential", "token")

    async def host(self) -> str:
        """Return the host of the database.

        Raises:
            BridgeError: if the workspace does not tell.
        """
        name = quote(self._database.name)
        if self._database.kind is LakebaseKind.ENDPOINT:
            found = await self._ask(self._client().get_json(f"/api/2.0/postgres/{name}"))
            return self._text(found, "host", "status", "hosts", "host")
        found = await self._ask(self._client().get_json(f"/api/2.0/database/instances/{name}"))
        return self._text(found, "host", "read_write_dns")

    async def user(self) -> str:
        """Return the database user of who signs in: a service principal's client id, or a user's name.

        Raises:
            BridgeError: if the workspace does not tell.
        """
        if client_id := self._environ.get("DATABRICKS_CLIENT_ID", "").strip():
            return client_id
        return self._text(await self._client().get_json("/api/2.0/preview/scim/v2/Me"), "user", "userName")

    async def _ask(self, request: Awaitable[Any]) -> Any:
        """Return the answer of the workspace; an error about a thing that is missing names the database."""
        try:
            return await request
        except BridgeError as error:
            if error.status not in (403, 404):
                raise
            raise BridgeError(
                error.code,
                f"The workspace does not give {self._database.label} to this service (HTTP {error.status}).",
                "Check its name, and that the service's identity may use the database; in a Databricks App, that the "
                "database is one of the app's resources.",
                status=error.status,
            ) from error

    def _text(self, answer: Any, what: str, *path: str) -> str:
        for key in path:
            answer = answer.get(key) if isinstance(answer, Mapping) else None
        if isinstance(answer, str) and answer:
            return answer
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            f"The workspace gave no {what} for {self._database.label}.",
            "Check that its name is right and that it runs, or put the host and the user into RESPONSES_MCP_STORE.",
            retryable=True,
        )
