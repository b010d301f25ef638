"""Claude Code, from npm, used as its users do."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.anthropic_api import tool_results
from harness.model_api import LAST_WORDS, StandIn, ToolCall
from harness.model_view import ModelView
from harness.npm import npm_path
from harness.stdio_process import COMMAND
from harness.terminal import Ran

PACKAGE = "@anthropic-ai/claude-code@2.1.330"
PREFIX = f"mcp__{SERVER.key}__"
_IDS = re.compile(r"\b(conv|resp|ig|mcpr|mcpl)_[0-9a-f]+")
_COPY = re.compile(r"(?<=\[Image: source: )[^]]+")


class ClaudeCode:
    """Claude Code, signed in to a model on loopback.

    Attributes:
        model: its model.
        view: makes its output and requests readable.
    """

    def __init__(self, account: Account, emulator: RunningEmulator, model: StandIn) -> None:
        self.model = model
        self.view = ModelView(account, emulator)
        self._account = account
        self._settings = account.home / ".claude.json"
        account.environ |= {
            "PATH": npm_path(PACKAGE),
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "key",
            "ENABLE_TOOL_SEARCH": "false",
            "MCP_CONNECTION_NONBLOCKING": "false",  # otherwise the first turn waits two seconds at most for its servers
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    async def run(self, *arguments: str) -> Ran:
        """Run one of its commands."""
        ran = await self._account.run("claude", *arguments)
        return Ran(self.view.masked(ran.out), self.view.masked(ran.err), ran.code)

    async def add(self) -> None:
        """Register the bridge as a user does."""
        environ = [word for name, value in self._account.server_env.items() for word in ("-e", f"{name}={value}")]
        added = await self.run("mcp", "add", "--scope", "user", SERVER.key, *environ, "--", *COMMAND)
        assert added.code == 0, added

    async def install(self, *options: str) -> None:
        """Register or remove the bridge with its own `install` command."""
        ran = await self._account.run(*COMMAND, "install", "claude-code", *options)
        assert ran.code == 0, ran

    def servers(self) -> Any:
        """Return the servers in its settings."""
        settings = json.loads(self._settings.read_text(encoding="utf-8"))
        return self.view.seen(settings["mcpServers"])

    def settle_in(self) -> None:
        """Answer the questions of its first start on a terminal."""
        settings = json.loads(self._settings.read_text(encoding="utf-8"))
        settings |= {"hasCompletedOnboarding": True, "theme": "dark"}
        settings["customApiKeyResponses"] = {"approved": ["key"], "rejected": []}
        settings["projects"] = {str(self._account.project): {"hasTrustDialogAccepted": True}}
        self._settings.write_text(json.dumps(settings), encoding="utf-8")

    async def converse(self, *calls: ToolCall, prompt: str = "Go on.") -> list[dict[str, Any]]:
        """Run a session in which the model makes these calls; return the results that the model received."""
        self.model.will_call(*calls)
        ran = await self.run("-p", prompt, "--allowedTools", f"{PREFIX}*")
        assert (ran.code, ran.out.strip()) == (0, LAST_WORDS), ran
        return tool_results(self.model.requests[-1])

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Session"]:
        """Start a session that accepts prompts one after another."""
        options = ("--input-format", "stream-json", "--output-format", "stream-json", "--verbose")
        async with self._account.started("claude", "-p", *options, "--allowedTools", f"{PREFIX}*") as process:
            yield Session(process)

    def seen(self, results: list[dict[str, Any]]) -> list[Any]:
        """Return what its model received in readable form: JSON parsed, ids replaced by names."""
        return [{"is_error": one.get("is_error", False), "content": self._content(one["content"])} for one in results]

    def _content(self, content: Any) -> Any:
        if isinstance(content, list):
            return [self._content(block) for block in content]
        if isinstance(content, str):
            text = _COPY.sub("COPY", _IDS.sub(lambda found: found[1].upper(), content))
            return self.view.seen(json.loads(text) if text.startswith("{") else text)
        if content["type"] == "image":
            return {**content, "source": {**content["source"], "data": self.view.picture(content["source"]["data"])}}
        return {**content, "text": self._content(content["text"])} if content["type"] == "text" else content


class Session:
    """Claude Code with JSON Lines as input and output."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)

    async def send(self, **message: Any) -> None:
        await self._stdin.send(json.dumps(message).encode() + b"\n")

    async def prompt(self, text: str) -> None:
        await self.send(type="user", message={"role": "user", "content": text})

    async def interrupt(self) -> None:
        """Interrupt the turn, as Escape does."""
        await self.send(type="control_request", request_id="stop", request={"subtype": "interrupt"})

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next message of this type."""
        while True:
            message: dict[str, Any] = json.loads(await self._lines.receive_until(b"\n", 10_000_000))
            if message["type"] == kind:
                return message
