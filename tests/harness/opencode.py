"""opencode, from npm, with a model on loopback and no access to other machines."""

import json
from collections.abc import Sequence
from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.chat_completions_api import tool_results
from harness.model_api import LAST_WORDS, StandIn, ToolCall
from harness.model_view import ModelView
from harness.npm import npm_path
from harness.stdio_process import COMMAND
from harness.terminal import Ran

PACKAGE = "opencode-ai@1.18.33"


class Opencode:
    """opencode in an account, initially without any server.

    Attributes:
        model: its model.
        view: makes its output and requests readable.
    """

    def __init__(self, account: Account, emulator: RunningEmulator, model: StandIn) -> None:
        self.model = model
        self.view = ModelView(account, emulator)
        self._account = account
        self._config = account.write(".config/opencode/opencode.json", json.dumps(self._configuration(images=True)))
        account.environ |= {
            "PATH": npm_path(PACKAGE),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }

    def _configuration(self, *, images: bool) -> dict[str, Any]:
        model = {
            "name": "Model",
            "attachment": images,
            "tool_call": True,
            "modalities": {"input": ["text", "image"] if images else ["text"], "output": ["text"]},
            "limit": {"context": 1_000_000, "output": 8000},
        }
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Stand-in",
            "options": {"baseURL": f"{self.model.url}/v1", "apiKey": "key"},
            "models": {"model": model},
        }
        return {
            "autoupdate": False,
            "share": "disabled",
            "model": "stand-in/model",
            "small_model": "stand-in/model",
            "enabled_providers": ["stand-in"],
            "provider": {"stand-in": provider},
        }

    def blind(self) -> None:
        """Declare that its model accepts no images; must be called before the server is registered."""
        self._config.write_text(json.dumps(self._configuration(images=False)), encoding="utf-8")

    async def run(self, *arguments: str) -> Ran:
        """Run one of its commands."""
        ran = await self._account.run("opencode", *arguments)
        return Ran(self.view.masked(ran.out), self.view.masked(ran.err), ran.code)

    async def add(self, *, timeout_ms: int | None = None) -> None:
        """Register the bridge as a user does; a timeout can only be set in the file."""
        environ = [word for name, value in self._account.server_env.items() for word in ("--env", f"{name}={value}")]
        added = await self.run("mcp", "add", SERVER.key, *environ, "--", *COMMAND)
        assert added.code == 0, added
        if timeout_ms is not None:
            config = json.loads(self._config.read_text(encoding="utf-8"))
            config["mcp"][SERVER.key]["timeout"] = timeout_ms
            self._config.write_text(json.dumps(config), encoding="utf-8")

    async def install(self, *options: str) -> None:
        """Register or remove the bridge with its own `install` command."""
        ran = await self._account.run(*COMMAND, "install", "opencode", *options)
        assert ran.code == 0, ran

    def servers(self) -> Any:
        """Return the servers in its configuration."""
        return self.view.seen(json.loads(self._config.read_text(encoding="utf-8"))["mcp"])

    async def converse(self, *calls: ToolCall, prompt: Sequence[str] = ("Go on.",)) -> list[dict[str, Any]]:
        """Run a session in which the model makes these calls; return the messages with their results."""
        self.model.will_call(*calls)
        ran = await self.run("run", "--auto", *prompt)
        assert (ran.code, ran.out.strip()) == (0, LAST_WORDS), ran
        return tool_results(self.model.requests[-1])

    def seen(self, told: list[dict[str, Any]]) -> Any:
        """Return what the model received in readable form."""
        return [self._message(message) for message in told]

    def _message(self, message: dict[str, Any]) -> Any:
        if isinstance(message["content"], str):
            return self.view.seen(message)
        return {**message, "content": [self._part(part) for part in message["content"]]}

    def _part(self, part: dict[str, Any]) -> Any:
        if part["type"] != "image_url":
            return self.view.seen(part)
        head, _, data = part["image_url"]["url"].partition(",")
        return {"type": "image_url", "image_url": {"url": f"{head},{self.view.picture(data)}"}}
