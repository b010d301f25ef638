"""The surfaces: what one is, the table of all, and what each takes."""
