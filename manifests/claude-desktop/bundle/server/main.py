"""Where hosts start the server."""

from databricks_responses_mcp.__main__ import main

if __name__ == "__main__":
    main()
