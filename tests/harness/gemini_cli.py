"""Gemini CLI, from npm, signed in to a model on loopback."""

import json
from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.gemini_api import tool_results
from harness.model_api import LAST_WORDS, StandIn, ToolCall
from harness.model_view import ModelView
from harness.npm import npm_path
from harness.stdio_process import COMMAND
from harness.terminal import Ran

PACKAGE = "@google/gemini-cli@0.61.0"


class GeminiCli:
    """Gemini CLI in an account, initially without any server.

    Attributes:
        model: its model.
        view: makes its output and requests readable.
    """

    def __init__(self, account: Account, emulator: RunningEmulator, model: StandIn) -> None:
        self.model = model
        self.view = ModelView(account, emulator)
        self._account = account
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        }
        self._settings = account.write(".gemini/settings.json", json.dumps(settings))
        account.write(".gemini/trustedFolders.json", json.dumps({str(account.project): "TRUST_FOLDER"}))
        account.environ |= {
            "PATH": npm_path(PACKAGE),
            "GOOGLE_GEMINI_BASE_URL": model.url,
            "GEMINI_API_KEY": "key",
            "COLORTERM": "truecolor",  # without it, it warns about the terminal
        }

    async def run(self, *arguments: str) -> Ran:
        """Run one of its commands."""
        ran = await self._account.run("gemini", *arguments)
        return Ran(self.view.masked(ran.out), self.view.masked(ran.err), ran.code)

    async def add(self, *options: str) -> None:
        """Register the bridge as a user does."""
        environ = [word for name, value in self._account.server_env.items() for word in ("-e", f"{name}={value}")]
        added = await self.run("mcp", "add", "-s", "user", *options, *environ, SERVER.key, *COMMAND)
        assert added.code == 0, added

    async def install(self, *options: str) -> None:
        """Register or remove the bridge with its own `install` command."""
        ran = await self._account.run(*COMMAND, "install", "gemini-cli", *options)
        assert ran.code == 0, ran

    def servers(self) -> Any:
        """Return the servers in its settings."""
        return self.view.seen(json.loads(self._settings.read_text(encoding="utf-8"))["mcpServers"])

    async def converse(self, *calls: ToolCall, prompt: str = "Go on.") -> list[list[dict[str, Any]]]:
        """Run a session in which the model makes these calls; return the parts of each result."""
        self.model.will_call(*calls)
        # The model is named, because otherwise it asks a model to choose one.
        ran = await self.run("-m", "gemini-2.5-flash", "--approval-mode", "yolo", "-p", prompt)
        assert (ran.code, ran.out.strip()) == (0, LAST_WORDS), ran
        return tool_results(self.model.requests[-1])

    def seen(self, told: list[list[dict[str, Any]]]) -> Any:
        """Return what the model received in readable form."""
        return [[self._part(part) for part in parts] for parts in told]

    def _part(self, part: dict[str, Any]) -> Any:
        if inline := part.get("inlineData"):
            return {"inlineData": {**inline, "data": self.view.picture(inline["data"])}}
        return self.view.seen(part)
