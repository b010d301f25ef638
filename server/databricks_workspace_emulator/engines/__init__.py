"""The engines of the embedded workspace: a local model, a server of the user, or rules."""
