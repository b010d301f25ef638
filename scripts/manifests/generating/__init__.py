"""What ``generate.py`` writes, a module for each format; all of it from the one description of the server."""
