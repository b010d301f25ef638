"""Storage of conversations, jobs and usage: SQLite, PostgreSQL, or the memory of the process."""
