"""Prompts that a user selects in their host: messages that make the host's model call a tool with good arguments."""
