"""Serving MCP over HTTP: addresses, authentication and limits. It is not imported when serving over stdio."""
