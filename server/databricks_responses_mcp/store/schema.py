"""The tables, as numbered migrations: the first creates them, each later one changes the schema of the one before.

A released migration is never edited. Tables are written ``@table``, as in `statements`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Database(Enum):
    """The databases that the schema is written for."""

    SQLITE = "SQLite"
    POSTGRESQL = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class PerDatabase:
    """Statements that differ between the databases."""

    sqlite: Sequence[str]
    postgresql: Sequence[str]


_TOTALS_TRIGGERS = PerDatabase(
    sqlite=(
        """CREATE TRIGGER conversation_added AFTER INSERT ON @conversations BEGIN
            INSERT INTO @totals (owner, conversations, bytes) VALUES (NEW.owner, 1, NEW.bytes)
            ON CONFLICT (owner) DO UPDATE SET conversations = conversations + 1, bytes = bytes + excluded.bytes;
        END""",
        """CREATE TRIGGER conversation_resized AFTER UPDATE OF bytes ON @conversations BEGIN
            UPDATE @totals SET bytes = bytes + NEW.bytes - OLD.bytes WHERE owner = NEW.owner;
        END""",
        """CREATE TRIGGER conversation_deleted AFTER DELETE ON @conversations BEGIN
            UPDATE @totals SET conversations = conversations - 1, bytes = bytes - OLD.bytes WHERE owner = OLD.owner;
        END""",
        """CREATE TRIGGER usage_added AFTER INSERT ON @usage BEGIN
            INSERT INTO @usage_days (owner, day, tokens)
            VALUES (NEW.owner, NEW.day, NEW.input_tokens + NEW.output_tokens)
            ON CONFLICT (owner, day) DO UPDATE SET tokens = tokens + excluded.tokens;
        END""",
    ),
    # Deferred: the row of an owner's totals is locked only during COMMIT, always after the rows that it counts. So
    # transactions wait for each other only briefly and do not deadlock.
    postgresql=(
        """CREATE FUNCTION @count_conversation() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'INSERT' THEN
                INSERT INTO @totals AS t (owner, conversations, bytes) VALUES (NEW.owner, 1, NEW.bytes)
                ON CONFLICT (owner) DO UPDATE
                SET conversations = t.conversations + 1, bytes = t.bytes + excluded.bytes;
            ELSIF TG_OP = 'UPDATE' THEN
                UPDATE @totals SET bytes = bytes + NEW.bytes - OLD.bytes WHERE owner = NEW.owner;
            ELSE
                UPDATE @totals SET conversations = conversations - 1, bytes = bytes - OLD.bytes
                WHERE owner = OLD.owner;
            END IF;
            RETURN NULL;
        END $$""",
        """CREATE CONSTRAINT TRIGGER conversation_counted AFTER INSERT OR DELETE OR UPDATE OF bytes ON @conversations
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE PROCEDURE @count_conversation()""",
        """CREATE FUNCTION @count_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO @usage_days AS d (owner, day, tokens)
            VALUES (NEW.owner, NEW.day, NEW.input_tokens + NEW.output_tokens)
            ON CONFLICT (owner, day) DO UPDATE SET tokens = d.tokens + excluded.tokens;
            RETURN NULL;
        END $$""",
        """CREATE CONSTRAINT TRIGGER usage_counted AFTER INSERT ON @usage
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE PROCEDURE @count_usage()""",
    ),
)

# The parameters have other names than the columns, which would be ambiguous.
_ADD_TURN_FUNCTION = """
CREATE FUNCTION @add_turn(
    new_owner text, new_conversation_id text, new_number bigint, new_created_at double precision,
    new_title text, new_folded_title text, new_folded_id text, new_endpoint text, new_model text, new_waiting bigint,
    new_input_tokens bigint, new_output_tokens bigint, new_bytes bigint,
    new_turn_endpoint text, new_status text, new_response_id text, new_said text, new_items text, new_usage text,
    new_state text,
    usage_created_at double precision DEFAULT NULL, usage_day text DEFAULT NULL, usage_tool text DEFAULT NULL,
    usage_endpoint text DEFAULT NULL, usage_model text DEFAULT NULL, usage_conversation_id text DEFAULT NULL,
    usage_input_tokens bigint DEFAULT NULL, usage_output_tokens bigint DEFAULT NULL,
    usage_cached_tokens bigint DEFAULT NULL, usage_reasoning_tokens bigint DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '10s' AS $$ BEGIN
    IF new_number = 1 THEN
        INSERT INTO @conversations (owner, conversation_id, title, folded_id, folded_title, endpoint, model, turns,
            input_tokens, output_tokens, bytes, waiting, created_at, updated_at)
        VALUES (new_owner, new_conversation_id, new_title, new_folded_id, new_folded_title, new_endpoint, new_model, 1,
            new_input_tokens, new_output_tokens, new_bytes, new_waiting, new_created_at, new_created_at)
        ON CONFLICT (owner, conversation_id) DO NOTHING;
    ELSE
        UPDATE @conversations SET turns = turns + 1, input_tokens = input_tokens + new_input_tokens,
            output_tokens = output_tokens + new_output_tokens, bytes = bytes + new_bytes, endpoint = new_endpoint,
            model = new_model, waiting = new_waiting, updated_at = new_created_at
        WHERE owner = new_owner AND conversation_id = new_conversation_id AND turns = new_number - 1;
    END IF;
    IF NOT FOUND THEN
        RETURN FALSE;
    END IF;
    INSERT INTO @turns (owner, conversation_id, number, created_at, endpoint, model, status, response_id, said, items,
        usage)
    VALUES (new_owner, new_conversation_id, new_number, new_created_at, new_turn_endpoint, new_model, new_status,
        new_response_id, new_said, new_items, new_usage);
    INSERT INTO @states (owner, conversation_id, state) VALUES (new_owner, new_conversation_id, new_state)
    ON CONFLICT (owner, conversation_id) DO UPDATE SET state = excluded.state;
    IF usage_day IS NOT NULL THEN
        INSERT INTO @usage (owner, created_at, day, tool, endpoint, model, conversation_id, input_tokens, output_tokens,
            cached_tokens, reasoning_tokens)
        VALUES (new_owner, usage_created_at, usage_day, usage_tool, usage_endpoint, usage_model, usage_conversation_id,
            usage_input_tokens, usage_output_tokens, usage_cached_tokens, usage_reasoning_tokens);
    END IF;
    RETURN TRUE;
END $$"""

_MIGRATIONS: Sequence[Sequence[str | PerDatabase]] = (
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
    # Running totals, maintained by triggers, so that they are exact whichever release of the program writes a row:
    # servers of the previous release may still have the database open.
    (
        """CREATE TABLE @totals (
            owner TEXT NOT NULL, conversations BIGINT NOT NULL, bytes BIGINT NOT NULL,
            PRIMARY KEY (owner)
        )""",
        """CREATE TABLE @usage_days (
            owner TEXT NOT NULL, day TEXT NOT NULL, tokens BIGINT NOT NULL,
            PRIMARY KEY (owner, day)
        )""",
        # Before the rows are counted: creating a trigger waits for writing transactions and blocks new ones.
        _TOTALS_TRIGGERS,
        """INSERT INTO @totals (owner, conversations, bytes)
            SELECT owner, COUNT(*), SUM(bytes) FROM @conversations GROUP BY owner""",
        """INSERT INTO @usage_days (owner, day, tokens)
            SELECT owner, day, SUM(input_tokens + output_tokens) FROM @usage GROUP BY owner, day""",
    ),
    # What replicas of a service share.
    (
        # The text is the last column: SQLite reads the others without it.
        """CREATE TABLE @texts (
            owner TEXT NOT NULL, text_id TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, bytes BIGINT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (owner, text_id)
        )""",
        "CREATE INDEX texts_by_age ON @texts (owner, created_at)",
        "ALTER TABLE @jobs ADD COLUMN lease_until DOUBLE PRECISION",
        "ALTER TABLE @jobs ADD COLUMN questions TEXT",
        """CREATE TABLE @answers (
            owner TEXT NOT NULL, job_id TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
            PRIMARY KEY (owner, job_id, question),
            FOREIGN KEY (owner, job_id) REFERENCES @jobs ON DELETE CASCADE
        )""",
        """CREATE TABLE @leases (
            name TEXT NOT NULL, holder TEXT NOT NULL, lease_until DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (name)
        )""",
        "CREATE INDEX usage_days_by_day ON @usage_days (day)",
        # In SQLite each connection adds a function of that name.
        PerDatabase(
            sqlite=(),
            postgresql=(
                """CREATE FUNCTION @clock() RETURNS DOUBLE PRECISION LANGUAGE sql AS
                $$ SELECT EXTRACT(EPOCH FROM clock_timestamp())::DOUBLE PRECISION $$""",
            ),
        ),
    ),
    # Limits of requests, and the audit log.
    (
        """CREATE TABLE @limit_scopes (
            scope TEXT NOT NULL, day TEXT NOT NULL, tokens BIGINT NOT NULL,
            PRIMARY KEY (scope)
        )""",
        """CREATE TABLE @admissions (
            owner TEXT NOT NULL, admission_id TEXT NOT NULL, call_id TEXT NOT NULL,
            started_at DOUBLE PRECISION NOT NULL, lease_until DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (owner, admission_id)
        )""",
        "CREATE INDEX admissions_of_owner ON @admissions (owner, started_at)",
        "CREATE INDEX admissions_by_start ON @admissions (started_at)",
        "CREATE INDEX admissions_by_lease ON @admissions (lease_until)",
        """CREATE TABLE @audit (
            owner TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, record TEXT NOT NULL
        )""",
        "CREATE INDEX audit_by_age ON @audit (created_at)",
    ),
    # A turn is one statement for PostgreSQL, see `conversation_queries.add_turn_by_function`.
    (PerDatabase(sqlite=(), postgresql=(_ADD_TURN_FUNCTION,)),),
)
VERSION = len(_MIGRATIONS)


def migration_statements(version: int, database: Database) -> Iterator[str]:
    """Yield the statements that upgrade a schema of that version (0: none) to `VERSION`, in order."""
    for migration in _MIGRATIONS[version:]:
        for statement in migration:
            if isinstance(statement, PerDatabase):
                yield from statement.sqlite if database is Database.SQLITE else statement.postgresql
            else:
                yield statement


def newer_schema_message(where: str, version: int) -> str:
    """Return the message for a schema that a later release has created."""
    return (
        f"The conversations in {where} were written by a newer databricks-responses-mcp (schema {version}, this one"
        f" knows {VERSION}). Upgrade this one, or set RESPONSES_MCP_STORE to another file."
    )
