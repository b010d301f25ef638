"""Shared code for the tests of several packages."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client

from databricks_responses_mcp.workspace.settings import Settings, load_settings
from databricks_workspace_emulator.server import RunningEmulator


def settings_for(
    emulator: RunningEmulator, tmp_path: Path, *, environ: dict[str, str] | None = None, **overrides: object
) -> Settings:
    """Return settings for the emulator, unless ``environ`` names another workspace, with all files in ``tmp_path``."""
    if environ is None:
        environ = {"DATABRICKS_HOST": emulator.host, "DATABRICKS_TOKEN": emulator.token}
    return load_settings(
        environ,
        {
            "model": "databricks-gpt-5",
            "image_model": "databricks-gpt-5",
            "image_dir": tmp_path / "pictures",
            "allowed_dirs": (tmp_path,),
            "store": str(tmp_path / "store" / "conversations.db"),
            **overrides,
        },
    )


@dataclass
class Host:
    """An MCP host for a test.

    Attributes:
        client: the SDK's client, connected.
        progress: every progress notification of this test: value and message.
    """

    client: Client
    progress: list[tuple[float, str]] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> tuple[list[Any], dict[str, Any], bool]:
        """Call a tool; return its content blocks, its structured content, and whether it failed."""

        async def on_progress(value: float, total: float | None, message: str | None) -> None:
            self.progress.append((value, message or ""))

        result = await self.client.call_tool(tool, arguments, progress_callback=on_progress)
        return list(result.content), result.structured_content or {}, bool(result.is_error)


Connect = Callable[..., AbstractAsyncContextManager[Host]]
