"""One file for each path of the workspace."""
