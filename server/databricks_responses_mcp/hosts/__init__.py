"""What MCP hosts need to run the server: how they are told of it, what they take, what they show their model."""
