"""One file a path of the workspace."""
