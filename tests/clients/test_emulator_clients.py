"""The embedded workspace as programs use it that nobody here wrote: SDKs, frameworks and agents."""

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
from harness.codex import PACKAGE as CODEX_PACKAGE
from harness.foreign_client import installed, run_client, run_node_client, run_python_client
from harness.npm import NODE, npm_bin, npm_path
from harness.pip_environments import uv_environment

pytestmark = pytest.mark.anyio

PROGRAMS = Path(__file__).parent / "programs"
AI_SDK = ("@databricks/ai-sdk-provider@0.5.1", "@ai-sdk/openai@4.0.118", "ai@7.0.173", "openai@7.59.0")
FRAMEWORKS = ("openai-agents==0.24.0", "pydantic-ai-slim[openai]==2.68.0", "litellm==1.110.2")
DATABRICKS = ("databricks-openai==0.18.0", "databricks-langchain==0.22.0")
NEVER_IMPORTED = (
    *("alembic", "databricks-connect", "docker", "flask", "flask-cors", "graphene", "gunicorn", "huey", "matplotlib"),
    *("mlflow", "pyarrow", "scikit-learn", "scipy", "skops", "sqlalchemy"),
)
"""Most of what the packages of Databricks depend on, by size."""


class Clients:
    """Runs the programs against the workspace."""

    def __init__(self, emulator: RunningEmulator, env: dict[str, str], home: Path) -> None:
        self._emulator = emulator
        self._env = env
        self._home = home

    async def framework(self, program: str) -> Any:
        """Run a program of the environment that the frameworks share."""
        commands = installed(uv_environment, *FRAMEWORKS)
        return self._read(await run_python_client(PROGRAMS / program, commands, env=self._env, cwd=self._home))

    async def databricks(self, program: str) -> Any:
        """Run a program with the packages of Databricks."""
        commands = installed(uv_environment, *DATABRICKS, without=NEVER_IMPORTED)
        return self._read(await run_python_client(PROGRAMS / program, commands, env=self._env, cwd=self._home))

    async def node(self, program: str) -> Any:
        """Run a program of JavaScript."""
        return self._read(await run_node_client(PROGRAMS / program, AI_SDK, env=self._env, home=self._home))

    def _read(self, value: Any) -> Any:
        # Answers after a tool repeat the question first.
        if isinstance(value, str):
            return value.rpartition("\n")[2]
        if isinstance(value, list):
            return [self._read(part) for part in value]
        if isinstance(value, dict):
            return {key: self._read(part) for key, part in value.items()}
        return value


@pytest.fixture
def clients(emulator: RunningEmulator, env: dict[str, str], tmp_path: Path) -> Clients:
    return Clients(emulator, env, tmp_path)


async def test_databricks_own_client_loops_with_long_ids_on_serving_and_gateway(clients: Clients) -> None:
    assert await clients.databricks("databricks_openai_client.py") == snapshot(
        {
            "serving": {
                "ask": "Hello",
                "stream": ["response.created", "response.completed"],
                "tools": "[tool] weather gave: Sunny",
            },
            "gateway": {
                "ask": "Hello",
                "stream": ["response.created", "response.completed"],
                "tools": "[tool] weather gave: Sunny",
            },
            "chat": "Hello",
            "agent": "Hello",
        }
    )


async def test_chat_databricks_streams_calls_and_answers_in_a_type(clients: Clients) -> None:
    assert await clients.databricks("databricks_langchain_client.py") == snapshot(
        {
            "chat": {"ask": "Hello", "usage": 1, "stream": ["word20", True], "tools": "[tool] weather gave: Sunny"},
            "responses": {
                "ask": "Hello",
                "usage": 1,
                "stream": ["word20", True],
                "tools": "[tool] weather gave: Sunny",
            },
            "typed": "Place",
        }
    )


async def test_the_ai_sdk_reaches_models_and_agents_through_databricks_provider(
    clients: Clients, emulator: RunningEmulator
) -> None:
    emulator.state.switches.long_ids = False
    assert await clients.node("ai_sdk_databricks.mjs") == snapshot(
        {
            "chat": {
                "ask": "Hello",
                "stream": {"text": "Hello", "finish": "stop", "steps": 1},
                "tools": {"text": "[tool] weather gave: Sunny", "finish": "stop", "steps": 2},
            },
            "responses": {
                "ask": "Hello",
                "stream": {"text": "Hello", "finish": "stop", "steps": 1},
                "tools": "[tool] weather gave: Sunny",
            },
            "agent": {"ask": "Hello", "stream": {"text": "Hello", "finish": "stop", "steps": 1}},
            "supervisor": {"ask": "Hello", "stream": {"text": "Hello", "finish": "tool-calls", "steps": 1}},
            "chatAgent": {"ask": "Hello", "stream": {"text": "Hello", "finish": "other", "steps": 1}},
        }
    )


async def test_the_ai_sdk_loops_through_openais_provider(clients: Clients) -> None:
    assert await clients.node("ai_sdk_openai.mjs") == snapshot(
        {
            "responses": {
                "ask": "Hello",
                "stream": ["word20", "stop"],
                "usage": 20,
                "tools": "[tool] weather gave: Sunny",
                "typed": ["city"],
            },
            "chat": {
                "ask": "Hello",
                "stream": ["word20", "stop"],
                "usage": 20,
                "tools": "[tool] weather gave: Sunny",
                "typed": ["city"],
            },
        }
    )


async def test_openais_client_for_node_loops_once_ids_are_short(clients: Clients, emulator: RunningEmulator) -> None:
    with pytest.raises(AssertionError, match="expected item_id"):
        await clients.node("openai_node.mjs")
    emulator.state.switches.long_ids = False
    assert await clients.node("openai_node.mjs") == snapshot(
        {
            "ask": "Hello",
            "stream": "word20",
            "helper": "Hello",
            "tools": "[tool] weather gave: Sunny",
            "runner": "[tool] weather gave: Sunny",
        }
    )


async def test_openais_agents_loop_once_ids_are_short(clients: Clients, emulator: RunningEmulator) -> None:
    with pytest.raises(AssertionError, match="string_above_max_length"):
        await clients.framework("openai_agents.py")
    emulator.state.switches.long_ids = False
    assert await clients.framework("openai_agents.py") == snapshot(
        {
            "ask": "Hello",
            "usage": 1,
            "stream": [True, True],
            "tools": "[tool] weather gave: Sunny",
            "handoff": ["Plain", "Hello"],
            "typed": "Place",
        }
    )


async def test_pydantic_ai_loops_and_answers_in_a_type(clients: Clients) -> None:
    assert await clients.framework("pydantic_agent.py") == snapshot(
        {
            "responses": {
                "ask": "Hello",
                "stream": ["word20", True],
                "tools": "[tool] weather gave: Sunny",
                "typed": "Place",
                "usage": [1, 2],
            },
            "chat": {
                "ask": "Hello",
                "stream": ["word20", True],
                "tools": "[tool] weather gave: Sunny",
                "typed": "Place",
                "usage": [1, 2],
            },
        }
    )


async def test_litellm_streams_with_usage_and_loops(clients: Clients) -> None:
    assert await clients.framework("litellm_client.py") == snapshot(
        {
            "chat": {"ask": "Hello", "stream": ["word20", "stop"], "usage": 20, "tools": "[tool] weather gave: Sunny"},
            "responses": {
                "ask": "Hello",
                "stream": ["RESPONSE_CREATED", "RESPONSE_COMPLETED"],
                "tools": "[tool] weather gave: Sunny",
            },
        }
    )


async def test_codex_runs_its_tools_through_the_gateway(
    emulator: RunningEmulator, env: dict[str, str], tmp_path: Path
) -> None:
    installed(npm_bin, CODEX_PACKAGE)
    installed(npm_bin, NODE)
    config = tmp_path / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text(
        f"""\
model = "databricks-gpt-5-3-codex"
model_provider = "databricks"
check_for_update_on_startup = false

[model_providers.databricks]
name = "Databricks"
base_url = "{emulator.host}/ai-gateway/codex/v1"
env_key = "DATABRICKS_TOKEN"
wire_api = "responses"

[analytics]
enabled = false
""",
        encoding="utf-8",
    )
    command = ["codex", "exec", "--json", "--skip-git-repo-check", "Use get_goal and wait_agent"]
    environ = {**env, "HOME": str(tmp_path), "PATH": npm_path(CODEX_PACKAGE)}
    events = [json.loads(line) for line in (await run_client(command, env=environ, cwd=tmp_path)).splitlines()]
    said = [event["item"]["text"] for event in events if event.get("item", {}).get("type") == "agent_message"]
    first, second = (exchange.body for exchange in emulator.state.request_log.to("/ai-gateway/codex/v1/responses"))
    called = [item for item in second["input"] if item["type"] == "function_call"]
    assert "get_goal gave: " in said[-1]
    assert {call["name"]: call.get("namespace") for call in called} == snapshot(
        {"wait_agent": "multi_agent_v1", "get_goal": None}
    )
    assert sorted(first) == snapshot(
        [
            "client_metadata",
            "include",
            "input",
            "model",
            "parallel_tool_calls",
            "prompt_cache_key",
            "reasoning",
            "store",
            "stream",
            "tool_choice",
            "tools",
        ]
    )
    assert {tool["type"] for tool in first["tools"]} == snapshot({"function", "namespace", "web_search"})
