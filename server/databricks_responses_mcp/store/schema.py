"""The tables, as numbered migrations: the first makes them, each later one changes what the one before left.

A migration that was released is never edited. Tables are written ``@table``, as in `steps`.
"""

from collections.abc import Sequence

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE @conversations (
            owner TEXT NOT NULL, conversation_id TEXT NOT NULL, title TEXT NOT NULL,
            folded_id TEXT NOT NULL, folded_title TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL,
            turns BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL, bytes BIGINT NOT NULL,
            waiting BIGINT NOT NULL, created_at DOUBLE PRECISION NOT NULL, updated_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (owner, conversation_id)
        )""",
        "CREATE INDEX conversations_by_age ON @conversations (owner, updated_at, conversation_id)",
        """CREATE TABLE @turns (
            owner TEXT NOT NULL, conversation_id TEXT NOT NULL, number BIGINT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL,
            response_id TEXT, said TEXT NOT NULL, items TEXT NOT NULL, usage TEXT,
            PRIMARY KEY (owner, conversation_id, number),
            FOREIGN KEY (owner, conversation_id) REFERENCES @conversations ON DELETE CASCADE
        )""",
        """CREATE TABLE @states (
            owner TEXT NOT NULL, conversation_id TEXT NOT NULL, state TEXT NOT NULL,
            PRIMARY KEY (owner, conversation_id),
            FOREIGN KEY (owner, conversation_id) REFERENCES @conversations ON DELETE CASCADE
        )""",
        """CREATE TABLE @jobs (
            owner TEXT NOT NULL, job_id TEXT NOT NULL, tool TEXT NOT NULL, status TEXT NOT NULL, conversation_id TEXT,
            created_at DOUBLE PRECISION NOT NULL, updated_at DOUBLE PRECISION NOT NULL, facts TEXT NOT NULL,
            lead TEXT NOT NULL, cancel_requested BIGINT NOT NULL,
            PRIMARY KEY (owner, job_id)
        )""",
        """CREATE TABLE @keys (
            owner TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, job_id TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (owner, key)
        )""",
        """CREATE TABLE @usage (
            owner TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, day TEXT NOT NULL, tool TEXT NOT NULL,
            endpoint TEXT NOT NULL, model TEXT NOT NULL, conversation_id TEXT,
            input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
            cached_tokens BIGINT NOT NULL, reasoning_tokens BIGINT NOT NULL
        )""",
        "CREATE INDEX usage_by_age ON @usage (owner, created_at)",
    ),
)
VERSION = len(MIGRATIONS)


def newer(where: str, version: int) -> str:
    """What to say of a schema that a later release made."""
    return (
        f"The conversations in {where} were written by a newer databricks-responses-mcp (schema {version}, this one"
        f" knows {VERSION}). Upgrade this one, or set RESPONSES_MCP_STORE to another file."
    )
