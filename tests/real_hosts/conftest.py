"""What tests of real hosts share: an account of its own for each test."""

from pathlib import Path

import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.stdio_process import environment


@pytest.fixture
def account(emulator: RunningEmulator, tmp_path: Path) -> Account:
    """An empty account; the bridge in it is led to this test's workspace."""
    server_env = environment(emulator, tmp_path / "home")
    return Account(home=tmp_path / "home", server_env={k: v for k, v in server_env.items() if k != "PATH"})
