"""The requests that the workspace accepts, and the messages with which it refuses others."""
