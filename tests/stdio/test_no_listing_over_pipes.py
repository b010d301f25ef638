"""A server of the Responses API that is no workspace, as a host's model uses it through the real server's pipes."""

import json
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import NO_LISTING, answer, raw_server
from harness.stdio_process import ASK, COMMAND

pytestmark = pytest.mark.anyio

SAID = {
    "object": "response",
    "status": "completed",
    "model": "m",
    "tools": [],
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Prose."}]}],
}


async def test_a_host_without_a_listing_is_named_not_asked_again_and_no_circle_is_advised(
    tmp_path: Path, era: str
) -> None:
    async with raw_server(answer(json.dumps(SAID).encode(), "application/json")) as (upstream, _):
        upstream.listing = NO_LISTING
        env = {
            "HOME": str(tmp_path),
            "DATABRICKS_HOST": upstream.host,
            "DATABRICKS_TOKEN": "t",
            "RESPONSES_MCP_RESPONSES_PATH": "/v1/responses",
        }
        parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env, cwd=tmp_path)
        with anyio.fail_after(DEADLINE_SECONDS):
            async with Client(parameters, mode=era) as client:
                host = Host(client)
                for _ in range(2):
                    content, facts, failed = await host.call("list_databricks_models")
                    assert (failed, facts["error"]["code"]) == (True, "not_configured")
                    assert "not a Databricks workspace" in content[0].text
                    assert "list_databricks_models" not in content[0].text
                asked = upstream.gets
                _, facts, failed = await host.call(ASK, prompt="Hi")
                assert (failed, facts["error"]["code"]) == (True, "not_configured")
                assert "RESPONSES_MCP_MODEL" in facts["error"]["hint"]
                _, facts, failed = await host.call(ASK, prompt="Hi", model="m", tools=[{"type": "web_search"}])
                assert (failed, facts["text"]) == (False, "Prose.")
                assert facts["notes"] == [
                    "The response does not list the tools of type web_search: the server has probably ignored them."
                ]
                missing = b'{"error": {"message": "The model `n` does not exist.", "code": 404}}'
                head = NO_LISTING.partition(b"content-length")[0]
                upstream.answer = head + b"content-length: %d\r\n\r\n%b" % (len(missing), missing)
                _, facts, failed = await host.call(ASK, prompt="Hi", model="n")
                assert (failed, facts["error"]["code"]) == (True, "model_not_found")
                assert "its own documentation" in facts["error"]["hint"]
                assert upstream.gets == asked
