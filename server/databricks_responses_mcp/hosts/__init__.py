"""MCP hosts as data: their configuration files, the limits of their tool calls, what they show their model."""
