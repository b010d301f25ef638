"""Setting and removing one entry in a host's own configuration file; every other byte is kept."""

from databricks_responses_mcp.hosts.editing.editing import Format, read_entry, remove_entry, set_entry
from databricks_responses_mcp.hosts.editing.paths import Named, Place

__all__ = ["Format", "Named", "Place", "read_entry", "remove_entry", "set_entry"]
