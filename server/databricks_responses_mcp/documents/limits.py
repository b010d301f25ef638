"""What reading a document may take, and how much text may come of it."""

CPU_SECONDS = 30
MEMORY_BYTES = 1024**3
MAX_PAGES = 2000
MAX_CHARACTERS = 1_000_000
