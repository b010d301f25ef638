"""Serving MCP over HTTP: addresses, authentication and limits. Over stdio only its telemetry is imported, if on."""
