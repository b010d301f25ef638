"""Serving MCP over HTTP: which addresses, who may call, and how much. Nothing of it is imported for stdio."""
