"""Servers that nobody here wrote. Each is installed and started when a test first wants it, once for each process."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.foreign_server import ForeignServer, foreign_server, free_port
from harness.llama_cpp import MODEL, llama_cpp
from harness.mlflow_server import MLFLOW
from harness.npm import NODE, npm_bin
from harness.pip_environments import pip_environment
from harness.vllm import vllm

HARNESS = Path(__file__).parents[1] / "harness"
AIMOCK = "@copilotkit/aimock@1.43.0"
LITELLM = ("litellm[proxy]==1.106.2",)
AGENTIC_API = ("agentic-api==0.9.0",)
CODEX_RELAY = ("codex-relay==0.5.8",)
FASTRESPONSES = ("fastresponses==0.1.0", "pydantic-ai-slim[openai]==2.68.0")

_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="these servers are installed and ended as POSIX has it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.upstreams)
            item.add_marker(_POSIX)


@pytest.fixture(scope="session")
def model_server() -> Iterator[ForeignServer]:
    """The local model as Databricks would serve it: ``/serving-endpoints/responses``."""
    with llama_cpp("/serving-endpoints") as server:
        yield server


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """The local model behind vLLM's own server: ``/v1/responses`` and chat completions."""
    with vllm(tmp_path_factory.mktemp("vllm")) as server:
        yield server


@pytest.fixture(scope="session")
def litellm_proxy(model_server: ForeignServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """LiteLLM's proxy before the local model: ``/v1/responses`` by way of chat completions."""
    commands = pip_environment(*LITELLM)
    key, port = "sk-litellm-test", free_port()
    folder = tmp_path_factory.mktemp("litellm")
    behind = {
        "model": f"llamafile/{MODEL}",
        "api_base": f"{model_server.origin}/serving-endpoints/v1",
        "api_key": model_server.key,
    }
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": behind}],
        "general_settings": {"master_key": key},
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    with foreign_server(
        [str(commands / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)],
        port=port,
        ready="/health/liveliness",
        key=key,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        cwd=folder,
    ) as server:
        yield server


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """A server that says what `aimock_script.json` says, and keeps a journal."""
    commands, node = npm_bin(AIMOCK), npm_bin(NODE)
    key, port = "aimock-test", free_port()
    script = Path(__file__).with_name("aimock_script.json")
    folder = tmp_path_factory.mktemp("aimock")
    config = {"llm": {"fixtures": str(script)}, "auth": {"apiKeys": [key]}, "strict": True}
    (folder / "aimock.json").write_text(json.dumps(config), encoding="utf-8")
    with foreign_server(
        [str(commands / "aimock"), "--config", "aimock.json", "--host", "127.0.0.1", "--port", str(port)],
        port=port,
        ready="/ready",
        key=key,
        env={"PATH": os.pathsep.join((str(node), os.environ["PATH"]))},
        cwd=folder,
    ) as server:
        yield server


def _mlflow(folder: Path) -> tuple[Path, dict[str, str]]:
    commands = pip_environment(*MLFLOW)
    path = os.pathsep.join((str(commands), os.environ["PATH"]))
    # Traces and runs go to a file beside, and nothing is told to anybody.
    env = {"PATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return commands, env


@pytest.fixture(scope="session")
def mlflow_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """An agent in MLflow's AgentServer, as Databricks Apps run it: ``/responses`` and ``/invocations``."""
    folder = tmp_path_factory.mktemp("mlflow-agent")
    commands, env = _mlflow(folder)
    port = free_port()
    command = [str(commands / "python"), str(HARNESS / "mlflow_program.py"), "serve", str(port)]
    with foreign_server(command, port=port, ready="/health", env=env, cwd=folder) as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """The same agent saved as a model and served by ``mlflow models serve``: ``/invocations`` alone."""
    folder = tmp_path_factory.mktemp("mlflow-model")
    _, env = _mlflow(folder)
    port = free_port()
    command = [
        *(
            "sh",
            "-c",
            'python "$0" save model && exec mlflow models serve -m model --env-manager local -h "$1" -p "$2"',
        ),
        *(str(HARNESS / "mlflow_program.py"), "127.0.0.1", str(port)),
    ]
    with foreign_server(command, port=port, ready="/ping", env=env, cwd=folder) as server:
        yield server


@pytest.fixture(scope="session")
def agentic_api(model_server: ForeignServer) -> Iterator[ForeignServer]:
    """vLLM's gateway, which keeps conversations and runs tools, before the local model: ``/v1/responses``."""
    commands, port = pip_environment(*AGENTIC_API), free_port()
    behind = f"{model_server.origin}/serving-endpoints"
    command = [
        *(str(commands / "agentic-api"), "serve", "--vllm-base-url", behind),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    # It asks the model by its own key whether it is there, and by the caller's for everything else.
    env = {"OPENAI_API_KEY": model_server.key}
    with foreign_server(command, port=port, ready="/v1/models", key=model_server.key, env=env) as server:
        yield server


@pytest.fixture(scope="session")
def codex_relay(model_server: ForeignServer) -> Iterator[ForeignServer]:
    """A relay from the Responses API to chat completions, before the local model: ``/v1/responses``."""
    commands, port = pip_environment(*CODEX_RELAY), free_port()
    env = {
        "CODEX_RELAY_UPSTREAM": f"{model_server.origin}/serving-endpoints/v1",
        "CODEX_RELAY_API_KEY": model_server.key,
        "CODEX_RELAY_PORT": str(port),
    }
    with foreign_server([str(commands / "codex-relay")], port=port, ready="/v1/models", env=env) as server:
        yield server


@pytest.fixture(scope="session")
def pydantic_agent(model_server: ForeignServer) -> Iterator[ForeignServer]:
    """An agent of Pydantic AI on the local model, behind the Open Responses API: ``/v1/responses``."""
    commands, port, key = pip_environment(*FASTRESPONSES), free_port(), "fastresponses-test"
    env = {"MODEL": MODEL, "BASE_URL": f"{model_server.origin}/serving-endpoints/v1", "API_KEY": model_server.key}
    command = [
        *(str(commands / "fastresponses"), "serve", str(HARNESS / "fastresponses_program.py") + ":agent"),
        *("--host", "127.0.0.1", "--port", str(port), "--api-key", key),
    ]
    with foreign_server(command, port=port, ready="/openapi.json", key=key, env=env) as server:
        yield server
