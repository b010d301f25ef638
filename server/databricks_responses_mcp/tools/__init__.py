"""The MCP tools: one file a tool."""
