"""Telemetry of the server in a real MLflow server, which receives it by OTLP."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.foreign_server import ForeignServer
from harness.mlflow_server import mlflow_server
from harness.stdio_process import ASK, environment, server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """Run MLflow's tracking server."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as running:
        yield running


def traces(mlflow: ForeignServer) -> list[dict[str, Any]]:
    """Return the traces of the default experiment that have token usage, the newest first."""
    with urllib.request.urlopen(f"{mlflow.origin}/api/2.0/mlflow/traces?experiment_ids=0") as answer:
        found = json.load(answer).get("traces", [])
    described = [
        {**trace, "metadata": {e["key"]: e["value"] for e in trace.get("request_metadata", [])}} for trace in found
    ]
    return [trace for trace in described if "mlflow.trace.tokenUsage" in trace["metadata"]]


async def test_mlflow_shows_the_tokens_and_the_conversation_of_each_turn(
    mlflow: ForeignServer, emulator: RunningEmulator, tmp_path: Path
) -> None:
    env = environment(
        emulator,
        tmp_path,
        RESPONSES_MCP_TELEMETRY="true",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{mlflow.origin}/v1/traces",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="x-mlflow-experiment-id=0",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    async with server(env) as raw:
        await raw.initialize()
        first = await raw.ask(1, "tools/call", name=ASK, arguments={"prompt": "[[say one]]"})
        facts = first["result"]["structuredContent"]
        arguments = {"prompt": "[[say two]]", "conversation_id": facts["conversation_id"]}
        second = await raw.ask(2, "tools/call", name=ASK, arguments=arguments)
        with anyio.fail_after(LONG_DEADLINE_SECONDS):
            while len(found := await anyio.to_thread.run_sync(traces, mlflow)) < 2:  # noqa: ASYNC110
                await anyio.sleep(0.2)  # MLflow does not say when it has stored a trace
    usages = [answer["result"]["structuredContent"]["usage"] for answer in (second, first)]
    assert [trace["status"] for trace in found] == ["OK", "OK"]
    assert {trace["metadata"]["mlflow.trace.session"] for trace in found} == {facts["conversation_id"]}
    counted = [json.loads(trace["metadata"]["mlflow.trace.tokenUsage"]) for trace in found]
    names = ("input_tokens", "output_tokens", "total_tokens")
    assert [[count[name] for name in names] for count in counted] == [[use[name] for name in names] for use in usages]
