"""Prompts that a person picks in their host: text that has the host's model call the right tool in the right way."""
