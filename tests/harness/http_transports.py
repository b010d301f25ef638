"""Both transports that requests to the workspace may take, as tests choose between them."""

import sys
from pathlib import Path

import pytest

DIRECT, HTTPX = "direct", "httpx"
TRANSPORTS = (DIRECT, HTTPX)


def use_transport(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process use one of them, as if httptools were installed or not."""
    if name == HTTPX:
        monkeypatch.setitem(sys.modules, "databricks_responses_mcp.workspace.direct_transport", None)


def transport_environment(name: str, folder: Path) -> dict[str, str]:
    """What makes another process use one of them.

    Args:
        folder: where a package may be put that takes the place of httptools.
    """
    if name == DIRECT:
        return {}
    packages = folder / "without_httptools"
    packages.mkdir(exist_ok=True)
    (packages / "httptools.py").write_text("raise ImportError('as if it were not installed')\n", encoding="utf-8")
    return {"PYTHONPATH": str(packages)}
