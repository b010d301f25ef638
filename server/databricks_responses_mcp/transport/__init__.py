"""Reading, refusing and writing MCP messages, and the pipes of a process; independent of what the messages contain."""
