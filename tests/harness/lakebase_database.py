"""A Lakebase database of the embedded workspace that is a real PostgreSQL server."""

import secrets
from dataclasses import dataclass

import psycopg

from databricks_workspace_emulator.lakebase import LakebaseDatabase
from harness.postgres_server import PostgresServer

DATABASE = "databricks_postgres"


@dataclass(eq=False)
class RealDatabase(LakebaseDatabase):
    """A database whose user has the newest credential as the password: older ones are refused.

    Attributes:
        server: the real server.
        user: who signs in.
    """

    server: PostgresServer | None = None
    user: str = ""

    def issue(self) -> tuple[str, str]:
        """Issue a credential, and let the server accept no other."""
        token, ends = super().issue()
        self.expire(token)
        return token, ends

    def expire(self, token: str = "") -> None:
        """Let the server accept only ``token``; by default none that was issued."""
        assert self.server is not None
        with psycopg.connect(self.server.url(DATABASE), autocommit=True) as admin:
            admin.execute(f"""ALTER ROLE "{self.user}" PASSWORD '{token or secrets.token_hex()}'""".encode())
