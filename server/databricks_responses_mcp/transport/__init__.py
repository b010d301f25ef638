"""How MCP messages come in and go out, whatever they say: reading, refusing, and the pipes of a process."""
