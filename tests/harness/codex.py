"""Codex, from npm, used as its users do, and as editors use its app server."""

import json
import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.model_api import LAST_WORDS, StandIn, ToolCall
from harness.model_view import ModelView
from harness.npm import npm_path
from harness.openai_api import tool_results
from harness.stdio_process import COMMAND
from harness.terminal import Ran

PACKAGE = "@openai/codex@0.171.0"
NAMESPACE = f"mcp__{SERVER.key}"
WALL_TIME = re.compile(r"^Wall time: [\d.]+ seconds\nOutput:\n?")
"""The text that Codex adds before every result."""
REQUIRED = "required = true"
"""Without it, the first turn waits one second at most for its servers, and continues without them."""
APPROVED = 'default_tools_approval_mode = "approve"'
"""Without it, `codex exec` refuses every call of a tool that is not marked read-only."""
_IDS = re.compile(r"\b(conv|resp|ig|mcpr|mcpl)_[0-9a-f]+")


class Codex:
    """Codex, with a model on loopback.

    Attributes:
        model: its model.
        view: makes its output and requests readable.
    """

    def __init__(self, account: Account, emulator: RunningEmulator, model: StandIn) -> None:
        self.model = model
        self.view = ModelView(account, emulator)
        self._account = account
        account.environ["PATH"] = npm_path(PACKAGE)
        self._config = account.write(
            ".codex/config.toml",
            f"""\
model = "stand-in"
model_provider = "stand-in"
check_for_update_on_startup = false

[model_providers.stand-in]
name = "Stand-in"
base_url = "{model.url}/v1"
wire_api = "responses"

[analytics]
enabled = false
""",
        )

    async def run(self, *arguments: str) -> Ran:
        """Run one of its commands."""
        ran = await self._account.run("codex", *arguments)
        return Ran(self.view.masked(ran.out), self.view.masked(ran.err), ran.code)

    async def install(self, *options: str) -> None:
        """Register or remove the bridge with its own `install` command."""
        ran = await self._account.run(*COMMAND, "install", "codex", *options)
        assert ran.code == 0, ran

    def servers(self) -> Any:
        """Return the servers in its settings."""
        return self.view.seen(tomllib.loads(self._config.read_text(encoding="utf-8")).get("mcp_servers", {}))

    def set(self, *settings: str) -> None:
        """Add lines to the server's entry."""
        entry = f"[mcp_servers.{SERVER.key}]\n"
        text = self._config.read_text(encoding="utf-8")
        assert entry in text
        lines = "".join(f"{line}\n" for line in settings)
        self._config.write_text(text.replace(entry, entry + lines), encoding="utf-8")

    async def add(self, *settings: str) -> None:
        """Register the bridge as a user does; ``settings`` are lines that are added to its entry."""
        environ = [word for name, value in self._account.server_env.items() for word in ("--env", f"{name}={value}")]
        added = await self.run("mcp", "add", SERVER.key, *environ, "--", *COMMAND)
        assert added.code == 0, added
        self.set(REQUIRED, *settings)

    async def converse(self, *calls: ToolCall) -> tuple[list[dict[str, Any]], str]:
        """Run a session in which the model makes these calls; return the results it received, and the user's view."""
        self.model.will_call(*calls)
        ran = await self.run("exec", "--skip-git-repo-check", "Go on.")
        assert (ran.code, ran.out.strip()) == (0, LAST_WORDS), ran
        return tool_results(self.model.requests[-1]), ran.err

    @asynccontextmanager
    async def app_server(self) -> AsyncIterator["AppServer"]:
        """Start its app server with a thread."""
        async with self._account.started("codex", "app-server") as process:
            app = AppServer(process)
            await app.call("initialize", clientInfo={"name": "test", "version": "1"})
            await app.send(method="initialized")
            thread = await app.call("thread/start", cwd=str(self._account.project))
            app.thread = thread["thread"]["id"]
            yield app

    def seen(self, results: list[dict[str, Any]]) -> list[Any]:
        """Return what its model received in readable form: JSON parsed, ids replaced by names, without times."""
        return [self._output(result["output"]) for result in results]

    def _output(self, output: Any) -> Any:
        if isinstance(output, list):
            return [self._output(part["text"]) for part in output if not WALL_TIME.fullmatch(part["text"])]
        text = _IDS.sub(lambda found: found[1].upper(), WALL_TIME.sub("", output))
        return self.view.seen(json.loads(text) if text.startswith("{") else text)


class AppServer:
    """Codex as editors use it: JSON-RPC in lines.

    Attributes:
        thread: the id of the conversation.
        answers: the user's answers to the questions of MCP servers, in order.
        asked: the questions.
    """

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.thread = ""
        self.answers: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self._stdin = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._last = 0

    async def send(self, **message: Any) -> None:
        await self._stdin.send(json.dumps(message).encode() + b"\n")

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return its result; it must succeed."""
        self._last += 1
        await self.send(id=self._last, method=method, params=params)
        while (message := await self._next()).get("id") != self._last or "method" in message:
            pass
        assert "result" in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def tool(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool without a model and return its result."""
        return await self.call(
            "mcpServer/tool/call", threadId=self.thread, server=SERVER.key, tool=tool, arguments=arguments
        )

    async def start_turn(self, text: str) -> str:
        """Send a prompt to the model and return the id of the turn."""
        started = await self.call("turn/start", threadId=self.thread, input=[{"type": "text", "text": text}])
        return str(started["turn"]["id"])

    async def end_of_turn(self, turn: str) -> str:
        """Wait for the end of a turn and return its status."""
        while True:
            message = await self._next()
            if message.get("method") == "turn/completed" and message["params"]["turn"]["id"] == turn:
                return str(message["params"]["turn"]["status"])

    async def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self._lines.receive_until(b"\n", 10_000_000))
        if message.get("method") == "mcpServer/elicitation/request":
            self.asked.append(message["params"]["message"])
            await self.send(id=message["id"], result=self.answers.pop(0))
        return message
