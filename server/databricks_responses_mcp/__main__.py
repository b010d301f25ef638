"""The command ``databricks-responses-mcp``."""

import gc
import os
import sys


def main() -> None:
    """Run the command line. With no command it serves MCP over stdio."""
    # Importing allocates much and frees nothing: collecting meanwhile costs a quarter of the start-up.
    gc.disable()
    # Looking for plugins reads the metadata of every distribution that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from databricks_responses_mcp.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
