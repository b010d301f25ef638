"""Ending the leases of running jobs, as if their process had been killed long ago."""

import sqlite3
from contextlib import closing
from pathlib import Path


def end_leases(file: Path) -> None:
    """End the leases of all jobs in a store's file."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE jobs SET lease_until = 0")
        connection.commit()
