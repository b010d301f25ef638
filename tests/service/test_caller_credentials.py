"""A token of the workspace for the one that a user has signed in with."""

import base64
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.service import caller_credentials
from databricks_responses_mcp.service.caller_credentials import CallerCredentials, ExchangedCredentials, TokenExchange
from databricks_responses_mcp.service.user_apps import WorkspaceIdentity
from databricks_responses_mcp.workspace.host import normalise_host
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.transport import Transport
from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.users import User
from harness.team import serving, team

pytestmark = pytest.mark.anyio


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256"}, {"exp": time.time() + 600, **claims})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".sig"


@asynccontextmanager
async def exchanged(address: str, subject: str, seconds: float = 10.0) -> AsyncIterator[ExchangedCredentials]:
    transport = Transport()
    try:
        credentials = ExchangedCredentials(TokenExchange(normalise_host(address), transport, seconds), SecretValues())
        credentials.use(SecretStr(subject))
        yield credentials
    finally:
        await transport.aclose()


def exchanges(emulator: RunningEmulator) -> int:
    return len(emulator.state.request_log.to("/oidc/v1/token"))


async def test_the_token_of_oauth_is_exchanged_once_and_sent_nowhere_else(
    emulator: RunningEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.state.users.federated["ann"] = User("ann")
    token = jwt(sub="ann")
    async with (
        team(emulator, tmp_path, identity=WorkspaceIdentity.EXCHANGED) as service,
        service.user("ann", mcp_token=token) as host,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(4):
            tasks.start_soon(partial(host.call, "ask_databricks_model", prompt="hello"))
            tasks.start_soon(host.call, "list_databricks_models")
    assert exchanges(emulator) == 1
    asked = emulator.state.request_log.to("/serving-endpoints/responses")
    assert [exchange.user for exchange in asked] == ["ann"] * 4
    assert token not in caplog.text


async def test_a_token_is_exchanged_again_after_the_workspace_refuses_it(emulator: RunningEmulator) -> None:
    emulator.state.users.federated["ann"] = User("ann")
    async with exchanged(emulator.host, jwt(sub="ann")) as credentials:
        first = await credentials.headers()
        assert await credentials.headers() == first
        assert await credentials.refresh()
        assert await credentials.headers() != first
    assert exchanges(emulator) == 2


@pytest.mark.parametrize(("valid", "used"), [(600.0, 480.0), (100.0, 50.0)])
async def test_a_token_is_exchanged_again_two_minutes_before_it_expires_or_halfway(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, valid: float, used: float
) -> None:
    seconds = 0.0
    monkeypatch.setattr(caller_credentials, "time", SimpleNamespace(monotonic=lambda: seconds))
    emulator.state.users.federated["ann"] = User("ann")
    emulator.state.users.exchanged_seconds = valid
    async with exchanged(emulator.host, jwt(sub="ann")) as credentials:
        first = await credentials.headers()
        seconds = used - 1
        assert await credentials.headers() == first
        seconds = used
        assert await credentials.headers() != first
    assert exchanges(emulator) == 2


async def test_concurrent_calls_share_a_failure_and_the_next_one_tries_again(emulator: RunningEmulator) -> None:
    errors: list[BridgeError] = []
    async with exchanged(emulator.host, jwt(sub="stranger")) as credentials:

        async def ask() -> None:
            try:
                await credentials.headers()
            except BridgeError as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        assert exchanges(emulator) == 1
        emulator.state.users.federated["stranger"] = User("stranger")
        assert await credentials.headers()
    assert len(errors) == 5
    assert (errors[0].code.value, errors[0].message, errors[0].hint) == snapshot(
        (
            "unauthenticated",
            (
                "The workspace did not exchange the token that the user has signed in with: HTTP 400 (invalid_grant: "
                "No federation policy matches the token's issuer, audience and subject.)."
            ),
            (
                "Sign in again in the MCP host. If that does not help, an account administrator must add a federation "
                "policy in Databricks for the issuer, audience and subject of the token, and the user to the workspace."
            ),
        )
    )


async def test_a_caller_who_is_cancelled_does_not_keep_others_waiting(emulator: RunningEmulator) -> None:
    emulator.state.users.federated["ann"] = User("ann")
    async with exchanged(emulator.host, jwt(sub="ann")) as credentials, anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await credentials.headers()
        tasks.start_soon(credentials.headers)
        assert await credentials.headers()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>sign in</html>"),
        (200, b"[" * 100_000),
        (200, b'{"access_token": "", "expires_in": 60}'),
        (200, b'{"access_token": "a\\r\\nx: y", "expires_in": 60}'),
        (200, b'{"access_token": "abc", "expires_in": "soon"}'),
        (200, b'{"access_token": "abc", "expires_in": -1}'),
        (200, b'{"access_token": "abc", "expires_in": NaN}'),
        (200, b"x" * 1_000_000),
        (302, b""),
        (400, b'{"error": "invalid_grant", "error_description": "Bad TOKEN"}'),
        (503, b"busy"),
    ],
)
async def test_a_wrong_answer_is_a_clear_error_without_the_token(status: int, body: bytes) -> None:
    token = jwt(sub="ann")

    async def answer(request: Request) -> Response:
        return Response(body.replace(b"TOKEN", token.encode()), status, {"location": "http://127.0.0.1:1/"})

    app = Starlette(routes=[Route("/oidc/v1/token", answer, methods=["POST"])])
    async with serving(app) as port, exchanged(f"http://127.0.0.1:{port}", token) as credentials:
        with pytest.raises(BridgeError) as caught:
            await credentials.headers()
    assert caught.value.code.value in ("unauthenticated", "upstream_error", "upstream_unavailable")
    assert token not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.slow
async def test_an_endpoint_that_does_not_answer_ends_in_a_timeout() -> None:
    async def answer(request: Request) -> Response:
        await anyio.sleep_forever()
        raise AssertionError

    app = Starlette(routes=[Route("/oidc/v1/token", answer, methods=["POST"])])
    async with serving(app) as port, exchanged(f"http://127.0.0.1:{port}", jwt(sub="ann"), 0.2) as credentials:
        with pytest.raises(BridgeError, match=r"within 0\.2 s"):
            await credentials.headers()


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx: y", "ü", "x" * 40_000])
async def test_a_token_that_fits_in_no_header_is_not_sent(token: str) -> None:
    credentials = CallerCredentials(normalise_host("https://dbc-a1.cloud.databricks.com"), SecretValues())
    credentials.use(SecretStr(token))
    with pytest.raises(BridgeError) as caught:
        await credentials.headers()
    assert caught.value.code.value == "unauthenticated"
    assert not token or token not in caught.value.message


def test_a_users_secrets_are_known_to_that_user_alone_and_the_services_to_all() -> None:
    secrets = SecretValues()
    secrets.add("service-secret-1")
    ann, ben = secrets.for_user(), secrets.for_user()
    ann.add("token-of-ann-1")
    secrets.add("service-secret-2")
    text = "token-of-ann-1 service-secret-1 service-secret-2"
    assert [ann.remove(text), ben.remove(text), secrets.remove(text)] == [
        "[redacted] [redacted] [redacted]",
        "token-of-ann-1 [redacted] [redacted]",
        "token-of-ann-1 [redacted] [redacted]",
    ]
    for number in range(100):
        ann.add(f"token-of-ann-and-later-{number}")
    assert (repr(ann), repr(secrets)) == ("SecretValues(34 forms)", "SecretValues(2 forms)")
