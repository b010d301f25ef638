"""The command ``databricks-responses-mcp``."""

import gc
import sys


def main() -> None:
    """Run the command line. With no command it serves MCP over stdio."""
    # Importing allocates much and frees nothing: collecting meanwhile costs a quarter of the start-up.
    gc.disable()
    from databricks_responses_mcp.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
