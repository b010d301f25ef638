"""Conversations in PostgreSQL, for several replicas of a shared server."""

from databricks_responses_mcp.store.conversation_queries import add_turn_by_function
from databricks_responses_mcp.store.interface import FreshSignIn
from databricks_responses_mcp.store.postgres_pool import DEFAULT_CONNECTIONS, PostgresPool
from databricks_responses_mcp.store.records import ConversationState, Turn, Usage
from databricks_responses_mcp.store.sql_store import SqlStore


class PostgresStore(SqlStore):
    """Stores conversations in a PostgreSQL database, in a schema of its own; connects at the first use.

    Args:
        url: see `PostgresPool`, as are ``sign_in`` and ``connections``.
        owner: the owner of the conversations; conversations of other owners are not visible.
    """

    def __init__(
        self,
        url: str,
        owner: str = "",
        sign_in: FreshSignIn | None = None,
        connections: int = DEFAULT_CONNECTIONS,
    ) -> None:
        super().__init__(PostgresPool(url, sign_in, connections), owner)

    async def add_turn(
        self, conversation_id: str, turn: Turn, state: ConversationState, *, title: str, usage: Usage | None = None
    ) -> None:
        """See `Store.add_turn`. One statement, because every call waits for it."""
        await self._database.write(add_turn_by_function, self._owner, conversation_id, turn, state, title, usage)
