"""``models``: a plain table in a pipe, JSON for machines."""

import json

import pytest
from inline_snapshot import snapshot

from harness.terminal import CommandLine, Ran

pytestmark = pytest.mark.anyio


async def test_a_pipe_gets_aligned_columns(cli: CommandLine) -> None:
    assert await cli.run("models", "--filter", "GPT-5-4", "--model", "databricks-gpt-5-4") == snapshot(
        Ran(
            out="""\
NAME                     STATE  KIND           PROVIDER  TASK         CLASS   SURFACE    DRAWS  DEFAULT
databricks-gpt-5-4       READY  pay per token  -         llm/v1/chat  native  responses  yes    ask
databricks-gpt-5-4-mini  READY  pay per token  -         llm/v1/chat  native  responses  yes    -
""",
            err="",
            code=0,
        )
    )


async def test_json_names_endpoints_and_defaults(cli: CommandLine) -> None:
    ran = await cli.run("models", "--filter", "gpt-5-4-mini", "--all", "--json")
    assert (json.loads(ran.out), ran.err, ran.code) == snapshot(
        (
            {
                "models": [
                    {
                        "name": "databricks-gpt-5-4-mini",
                        "class": "native",
                        "surface": "responses",
                        "can": ["text", "images", "image_generation", "web_search", "structured_output"],
                        "catalog_name": "system.ai.gpt-5-4-mini",
                        "state": "READY",
                        "task": "llm/v1/chat",
                        "kind": "pay_per_token",
                        "reason": "the workspace lists the Responses API among its API types",
                        "confidence": "listed",
                    }
                ],
                "default_model": "databricks-gpt-5",
                "default_image_model": "databricks-gpt-6-1-sol",
                "hidden": 0,
                "mcp_servers": [
                    {"name": "system.ai.dbsql", "description": "Runs SQL on a warehouse"},
                    {"name": "system.ai.genie_one_mcp", "description": "Asks Genie"},
                    {"name": "system.ai.github", "description": "Reads and writes in GitHub"},
                    {"name": "system.ai.sandbox", "description": "Runs Python, SQL and shell commands"},
                    {"name": "system.ai.web_search", "description": "Searches the web"},
                ],
            },
            "",
            0,
        )
    )
