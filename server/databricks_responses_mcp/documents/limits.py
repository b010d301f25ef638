"""Limits of reading a document, and of the resulting text."""

CPU_SECONDS = 30
MEMORY_BYTES = 1024**3
MAX_PAGES = 2000
MAX_CHARACTERS = 1_000_000
