"""A store of version 0.1: its exact schema, with data of two owners."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

DAY = 86_400.0

_SCHEMA = (
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
)

_STATE = '{"endpoint":"gpt","parameters":{},"mcp_servers":[],"output_schema":null,"pending":[]}'


def conversation(conversation_id: str, updated_at: float, owner: str = "") -> Sequence[str]:
    """Return the statements with which version 0.1 wrote a conversation of one turn of 1,000 bytes."""
    this = f"'{owner}', '{conversation_id}'"
    named = f"'Old', '{conversation_id}', 'old', 'gpt', 'gpt-5'"
    said = f"""[{{"content":"{"x" * 978}"}}]"""
    turn = f"{this}, 1, {updated_at}, 'gpt', 'gpt-5', 'completed', NULL, '{said}', '[]', NULL"
    return (
        f"INSERT INTO @conversations VALUES ({this}, {named}, 1, 10, 5, 1000, 0, {updated_at}, {updated_at})",
        f"INSERT INTO @turns VALUES ({turn})",
        f"INSERT INTO @states VALUES ({this}, '{_STATE}')",
    )


def usage(created_at: float, day: str, owner: str = "") -> str:
    """Return the statement with which version 0.1 wrote the usage of 15 tokens."""
    return f"INSERT INTO @usage VALUES ('{owner}', {created_at}, '{day}', 'ask', 'gpt', 'gpt-5', NULL, 10, 5, 0, 0)"


_ROWS = (
    *conversation("conv-1", 1.0),
    *conversation("conv-2", 2.0),
    *conversation("theirs", 1.0, owner="other"),
    usage(1.0, "1970-01-01"),
    usage(2.0, "1970-01-01"),
    usage(DAY, "1970-01-02"),
    usage(1.0, "1970-01-01", owner="other"),
)


def make_old_store(setting: str) -> None:
    """Create the store that a setting names as version 0.1 did, with two conversations and three rows of usage."""
    if "://" not in setting:
        Path(setting).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(setting, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {0x4452_4D43}")
            connection.execute("PRAGMA user_version = 1")
        execute(setting, [*_SCHEMA, *_ROWS])
        return
    schema = "databricks_responses_mcp"
    begin = [
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.schema_version (version BIGINT NOT NULL)",
        f"INSERT INTO {schema}.schema_version (version) VALUES (1)",
    ]
    execute(setting, [*begin, *(sql.replace(" TEXT", ' TEXT COLLATE "C"') for sql in _SCHEMA), *_ROWS])


def execute(setting: str, statements: Sequence[str]) -> None:
    """Execute statements on a store, each in its own transaction; tables are written ``@table``."""
    if "://" not in setting:
        with closing(sqlite3.connect(setting, isolation_level=None)) as connection:
            for sql in statements:
                connection.execute(sql.replace("@", ""))
        return
    import psycopg

    with psycopg.connect(setting, autocommit=True) as server:
        for sql in statements:
            server.execute(sql.replace("@", "databricks_responses_mcp.").encode())
