"""Test programs of others, run against the workspace as their authors meant them."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_workspace_emulator.server import RunningEmulator
from oracle import openai_spec

pytestmark = pytest.mark.anyio

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


def program(name: str) -> str:
    """The program beside this Python, or on the path."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found is not None
    return found


@pytest.mark.parametrize(("form", "model"), [("open-responses", "databricks-gpt-5"), ("openai-chat", "my-gpt-5")])
async def test_llm_comply_finds_nothing_to_object_to(emulator: RunningEmulator, form: str, model: str) -> None:
    # A field that no chat API knows is among its requests, and only external models pass such fields on. It skips tests
    # of models that are not called as OpenAI's.
    external = emulator.state.endpoints["my-openai-external"]
    emulator.state.endpoints["my-gpt-5"] = replace(external, name="my-gpt-5")
    command = [program("llm-comply"), "-u", f"{emulator.host}/serving-endpoints", "-m", model]
    command += ["-k", emulator.token, "--format", form, "--json"]
    result = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL)
    report = json.loads(result.stdout)
    assert [case for case in report["results"] if case["status"] != "passed"] == []
    assert len(report["results"]) >= 9


@pytest.mark.slow
@pytest.mark.parametrize("examples", [10, pytest.param(150, marks=pytest.mark.slow)])
async def test_requests_made_up_from_the_document_are_answered_or_refused_by_it(
    emulator: RunningEmulator, tmp_path: Path, examples: int
) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(cut_down_document()), encoding="utf-8")
    command = [program("schemathesis"), "run", str(document), "--url", emulator.host, "--seed", "1"]
    command += ["--header", f"Authorization: Bearer {emulator.token}", "--max-examples", str(examples)]
    command += ["--phases", "fuzzing", "--checks", ",".join(CHECKS), "--suppress-health-check", "all"]
    result = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL, cwd=tmp_path)
    assert result.returncode == 0, result.stdout.decode()
    statuses = {exchange.status for exchange in emulator.state.request_log.exchanges}
    assert {200, 400} <= statuses <= {200, 400, 404}


def cut_down_document() -> dict[str, Any]:
    """OpenAI's document, cut down to this path, with the workspace's names and refusals."""
    refusal = {
        "type": "object",
        "required": ["error_code", "message"],
        "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
        "additionalProperties": False,
    }
    models = {"enum": ["databricks-gpt-5", "databricks-gpt-5-mini", "my-openai-external"]}
    named = {"type": "object", "required": ["model", "input"], "properties": {"model": models}}
    body = {"allOf": [{"$ref": "#/components/schemas/CreateResponse"}, named]}
    answers: dict[str, Any] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Response"}},
        "text/event-stream": {"schema": {"type": "string"}},
    }
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    operation = {
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "An answer.", "content": answers},
            "400": {"description": "A refusal.", "content": refused},
            "404": {"description": "Not there.", "content": refused},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Responses", "version": "1"},
        "paths": {"/serving-endpoints/responses": {"post": operation}},
        "components": {"schemas": {**openai_spec.schemas(), "Refusal": refusal}},
    }
