"""A readable form of what a host showed its model or its user."""

import base64
import io
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from PIL import Image

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account

_REQUEST_ID = re.compile(r"\b[0-9a-f]{32}\b")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WIDTH = 110


class ModelView:
    """Replaces what differs between runs by names.

    Args:
        account: the account of the host.
        emulator: the workspace of the bridge in it.
    """

    def __init__(self, account: Account, emulator: RunningEmulator) -> None:
        self._names = {
            str(account.home): "HOME",
            str(Path(sys.executable).with_name(SERVER.distribution)): "PROGRAM",
            sys.executable: "PYTHON",
            emulator.host: "WORKSPACE",
            emulator.token: "TOKEN",
        }
        self._pictures = Path(account.server_env["RESPONSES_MCP_IMAGE_DIR"])

    def masked(self, text: str) -> str:
        """Return ``text`` without colors, and with names for what differs."""
        text = _ANSI.sub("", text)
        for found, name in self._names.items():
            text = text.replace(found, name)
        return _REQUEST_ID.sub("REQUEST", text)

    def seen(self, value: Any) -> Any:
        """Return a JSON value with every text in it masked, and its long lines folded."""
        if isinstance(value, str):
            return "\n".join(_folded(line) for line in self.masked(value).split("\n"))
        if isinstance(value, list):
            return [self.seen(item) for item in value]
        if isinstance(value, dict):
            return {key: self.seen(item) for key, item in value.items()}
        return value

    def picture(self, data: str) -> str:
        """Return the description of a base64 image; it must be equal to the saved one."""
        received = base64.b64decode(data, validate=True)
        assert received in [path.read_bytes() for path in self._pictures.iterdir() if path.is_file()]
        with Image.open(io.BytesIO(received)) as image:
            return f"{image.format} of {image.width}x{image.height} pixels, as saved"


def _folded(line: str) -> str:
    return textwrap.fill(line, _WIDTH, break_long_words=True, break_on_hyphens=False)
