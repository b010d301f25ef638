"""The surfaces: their type, the table of all, and what each supports."""
