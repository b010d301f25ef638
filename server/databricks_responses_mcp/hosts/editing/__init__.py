"""Puts one entry into a host's own configuration file, and takes it out again; every other byte stays."""

from databricks_responses_mcp.hosts.editing.editing import Format, read_entry, remove_entry, set_entry
from databricks_responses_mcp.hosts.editing.paths import Named, Place

__all__ = ["Format", "Named", "Place", "read_entry", "remove_entry", "set_entry"]
