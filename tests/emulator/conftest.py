"""Two ways into the embedded workspace: the official client, and plain HTTP."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness.deadlines import DEADLINE_SECONDS

Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    """A workspace that may be sent anything: these tests are about what it makes of bad requests, too."""
    async with run_emulator() as running:
        yield running


@pytest.fixture
async def official(emulator: RunningEmulator) -> AsyncIterator[AsyncOpenAI]:
    """The ``openai`` client, pointed at the workspace the way Databricks documents it."""
    # Loopback needs no certificates, and loading them takes longer than most of these tests.
    plain = DefaultAsyncHttpxClient(verify=False)
    base_url = f"{emulator.host}/serving-endpoints"
    async with AsyncOpenAI(
        api_key=emulator.token, base_url=base_url, max_retries=0, timeout=DEADLINE_SECONDS, http_client=plain
    ) as client:
        yield client


@pytest.fixture
async def http(emulator: RunningEmulator) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with a valid token."""
    headers = {"authorization": f"Bearer {emulator.token}"}
    async with httpx.AsyncClient(
        base_url=emulator.host, headers=headers, timeout=DEADLINE_SECONDS, verify=False
    ) as client:
        yield client


@pytest.fixture
def post(http: httpx.AsyncClient) -> Post:
    """Posts a Responses request; the model is ``databricks-gpt-5`` unless given: ``await post(input="hi")``."""

    async def send(fault: str | None = None, **body: Any) -> httpx.Response:
        headers = {"x-emulator-fault": fault} if fault else {}
        body = {"model": "databricks-gpt-5", "input": "Hello"} | body
        return await http.post("/serving-endpoints/responses", json=body, headers=headers)

    return send


@pytest.fixture
def events() -> Callable[[httpx.Response], list[dict[str, Any]]]:
    """The events of a streamed answer."""

    def parse(response: httpx.Response) -> list[dict[str, Any]]:
        lines = response.text.split("\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: [DONE]"]

    return parse
