"""MLflow's tracking server, from PyPI, as a process on a loopback port."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.foreign_server import ForeignServer, foreign_server, free_port
from harness.pip_environments import pip_environment

MLFLOW = ("mlflow==3.17.2", "fastapi", "uvicorn", "httpx")
"""The packages of MLflow's servers."""


@contextmanager
def mlflow_server(folder: Path) -> Iterator[ForeignServer]:
    """Run a tracking server with its database in ``folder``."""
    port = free_port()
    command = [
        *(str(pip_environment(*MLFLOW) / "mlflow"), "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--host", "127.0.0.1", "--port", f"{port}", "--workers", "1"),
    ]
    env = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with foreign_server(command, port=port, ready="/health", env=env, cwd=folder) as server:
        yield server
