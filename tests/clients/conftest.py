"""Clients that nobody here wrote. Each is installed when a test first wants it, in an environment of its own."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from databricks_workspace_emulator.server import RunningEmulator, run_emulator

_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="these clients are installed as POSIX has it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.clients)
            item.add_marker(_POSIX)


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    """A workspace that may be sent what these clients send."""
    async with run_emulator() as running:
        yield running


@pytest.fixture
def env(emulator: RunningEmulator) -> dict[str, str]:
    """Where the workspace is, as its clients are told."""
    return {
        "DATABRICKS_HOST": emulator.host,
        "DATABRICKS_TOKEN": emulator.token,
        "OPENAI_API_KEY": emulator.token,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
