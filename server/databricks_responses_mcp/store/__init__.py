"""Where conversations, jobs and usage are kept: SQLite, PostgreSQL, or the memory of the process."""
