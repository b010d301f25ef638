"""mcpc, the MCP client for terminals and scripts, with the bridge in one of its sessions."""

import base64
import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.tools.definitions import NAMES, read_definition
from harness.account import Account
from harness.npm import npm_path
from harness.stdio_process import ASK, COMMAND
from harness.terminal import Ran

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

MCPC = "@apify/mcpc@0.2.6"


@dataclass
class Session:
    """An open session with the bridge; its server lives in the background from one command to the next."""

    account: Account
    opened: Ran

    async def say(self, *command: str) -> str:
        """What a person sees of one command."""
        ran = await self.account.run("mcpc", "@bridge", *command)
        assert (ran.code, ran.err) == (0, "")
        return ran.out

    async def data(self, *command: str) -> Any:
        """What a script gets from one command."""
        ran = await self.account.run("mcpc", "--json", "@bridge", *command)
        assert (ran.code, ran.err) == (0, "")
        return json.loads(ran.out)


@asynccontextmanager
async def session(account: Account) -> AsyncIterator[Session]:
    """The bridge in a session of mcpc, which is closed with the context."""
    account.environ["PATH"] = npm_path(MCPC)
    server = {"command": COMMAND[0], "args": COMMAND[1:], "env": dict(account.server_env)}
    config = account.write("mcp.json", json.dumps({"mcpServers": {"bridge": server}}))
    # A socket's path has room for about a hundred characters, which a test's folder takes up.
    with TemporaryDirectory(prefix="mcpc-") as folder:
        account.environ["MCPC_HOME_DIR"] = folder
        async with _closed(account, Path(folder) / "sessions.json"):
            opened = await account.run("mcpc", "connect", f"{config}:bridge", "@bridge")
            assert opened.code == 0, opened
            yield Session(account, opened)


@asynccontextmanager
async def _closed(account: Account, known: Path) -> AsyncIterator[None]:
    """Close the session with the context; its process is ended even if that fails."""
    try:
        yield
        closed = await account.run("mcpc", "close", "@bridge")
        assert "closed successfully" in closed.out
        assert json.loads(known.read_text(encoding="utf-8")) == {"sessions": {}}
    finally:
        with suppress(FileNotFoundError, KeyError, ProcessLookupError):
            left = json.loads(known.read_text(encoding="utf-8"))["sessions"]["@bridge"]["pid"]
            os.kill(left, signal.SIGKILL)


async def test_it_shows_the_instructions_and_every_tool(account: Account) -> None:
    async with session(account) as open_session:
        assert "Server: databricks-responses-mcp" in open_session.opened.out
        assert "When a result has an error, its hint says what to do" in open_session.opened.out
        people = await open_session.say("tools-list")
        assert f"Tools ({len(NAMES)}):" in people
        assert "`ask_databricks_model (prompt:str, model?:str" in people
        listed = await open_session.data("tools-list")
        assert listed == [read_definition(name) for name in NAMES]


async def test_people_read_the_answer_and_scripts_get_all_of_it(account: Account) -> None:
    async with session(account) as open_session:
        people = await open_session.say("tools-call", ASK, "prompt:=[[say Grüße]]")
        assert people.endswith(f"✓ Tool {ASK} executed successfully\n````\nGrüße\n````\n")
        first = await open_session.data("tools-call", ASK, "prompt:=Remember the word: heron.")
        conversation = first["structuredContent"]["conversation_id"]
        second = await open_session.data("tools-call", ASK, "prompt:=[[say heron]]", f"conversation_id:={conversation}")
    facts = second["structuredContent"]
    assert (second["content"], second["isError"]) == ([{"type": "text", "text": "heron"}], False)
    assert (facts["text"], facts["conversation_id"]) == ("heron", conversation)


async def test_a_picture_is_a_file_and_a_resource(account: Account) -> None:
    async with session(account) as open_session:
        result = await open_session.data("tools-call", "generate_image", "prompt:=a fox")
        text, inline, link = result["content"]
        [facts] = result["structuredContent"]["images"]
        data = await anyio.Path(facts["path"]).read_bytes()
        assert text["text"].startswith(f"Picture (1024x1024 image/png, {len(data)} bytes) saved to {facts['path']}\n")
        assert (inline["type"], inline["mimeType"]) == ("image", "image/png")
        assert hashlib.sha256(data).hexdigest() == facts["sha256"]
        assert Path(facts["path"]).parent == account.home / "pictures"
        uri = f"image://{Path(facts['path']).name}"
        assert link["text"].startswith(f"MCP resource {uri} (image/png, {len(data)} bytes)")
        read = await open_session.data("resources-read", uri)
        blob = base64.b64encode(data).decode()
        assert read["contents"] == [{"uri": uri, "mimeType": "image/png", "blob": blob}]


async def test_a_prompt_is_filled_in(account: Account) -> None:
    async with session(account) as open_session:
        assert "`second_opinion`" in await open_session.say("prompts-list")
        written = await open_session.data("prompts-get", "second_opinion", "question:=Is a heron a bird?")
    [message] = written["messages"]
    assert "\n> Is a heron a bird?\n" in message["content"]["text"]


async def test_a_failure_says_what_to_do(account: Account) -> None:
    async with session(account) as open_session:
        people = await open_session.say("tools-call", ASK, "prompt:=")
        assert f"✗ Tool {ASK} returned an error" in people
        assert "invalid_argument: " in people
        assert "Correct them and call again." in people
        script = await open_session.data("tools-call", ASK, "prompt:=hello", "model:=no-such-endpoint")
        assert (script["isError"], script["structuredContent"]["error"]["code"]) == (True, "model_not_found")
