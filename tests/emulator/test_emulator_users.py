"""Several users of one workspace: each token sees what its user may see."""

import base64
import json
import time
from typing import Any

import anyio.to_thread
import httpx
import pytest
from databricks.sdk import WorkspaceClient
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.users import User

pytestmark = pytest.mark.anyio


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".x"


async def test_an_endpoint_is_unknown_to_a_user_who_may_not_see_it(emulator: RunningEmulator) -> None:
    emulator.state.users.add(User("guest", unseen_endpoints={"databricks-gpt-5"}), "guests-token")
    async with httpx.AsyncClient(base_url=emulator.host) as client:
        seen = {}
        for token in (emulator.token, "guests-token"):
            headers = {"Authorization": f"Bearer {token}"}
            listed = (await client.get("/api/2.0/serving-endpoints", headers=headers)).json()["endpoints"]
            models = (await client.get("/api/2.0/serving-endpoints:foundation-models", headers=headers)).json()
            body = {"model": "databricks-gpt-5", "input": "hello"}
            asked = await client.post("/serving-endpoints/responses", headers=headers, json=body)
            behind = await client.post(
                "/ai-gateway/openai/v1/responses", headers=headers, json={**body, "model": "system.ai.gpt-5"}
            )
            seen[token] = (
                "databricks-gpt-5" in [endpoint["name"] for endpoint in listed],
                "databricks-gpt-5" in [endpoint["name"] for endpoint in models["endpoints"]],
                asked.status_code,
                behind.status_code,
            )
    assert list(seen.values()) == [(True, True, 200, 200), (False, False, 404, 404)]
    assert [exchange.user for exchange in emulator.state.request_log.to("/serving-endpoints/responses")] == [
        "first",
        "guest",
    ]


async def test_a_revoked_or_expired_token_is_refused(emulator: RunningEmulator) -> None:
    users = emulator.state.users
    users.add(User("guest"), "guests-token")
    users.add(User("late"), "expired-token", seconds=0)
    async with httpx.AsyncClient(base_url=emulator.host) as client:

        async def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.get("/api/2.0/serving-endpoints", headers=headers)).status_code

        assert [await status("guests-token"), await status("expired-token")] == [200, 403]
        users.revoke("guests-token")
        assert await status("guests-token") == 403


async def test_the_token_of_a_trusted_issuer_is_exchanged(emulator: RunningEmulator) -> None:
    guest = emulator.state.users.federated["guest@example.com"] = User("guest")
    good = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": jwt(sub="guest@example.com", exp=time.time() + 60),
        "scope": "all-apis",
    }
    wrong = (
        {"grant_type": "password"},
        {"subject_token_type": "other"},
        {"scope": "everything"},
        {"subject_token": "no jwt"},
        {"subject_token": jwt(sub="stranger", exp=time.time() + 60)},
        {"subject_token": jwt(sub="guest@example.com", exp=time.time() - 60)},
    )
    async with httpx.AsyncClient(base_url=emulator.host) as client:
        answer = await client.post("/oidc/v1/token", data=good)
        refused = [(await client.post("/oidc/v1/token", data={**good, **change})) for change in wrong]
    issued = answer.json()
    assert emulator.state.user_of(issued.pop("access_token")) is guest
    assert issued == snapshot(
        {
            "token_type": "Bearer",
            "scope": "all-apis",
            "expires_in": 3600,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }
    )
    assert [(response.status_code, response.json()["error"]) for response in refused] == snapshot(
        [
            (400, "unsupported_grant_type"),
            (400, "invalid_request"),
            (400, "invalid_scope"),
            (400, "invalid_request"),
            (400, "invalid_grant"),
            (400, "invalid_grant"),
        ]
    )


async def test_a_service_principal_signs_in_by_the_databricks_sdk(emulator: RunningEmulator) -> None:
    robot = User("robot")
    emulator.state.users.principals["robots-id"] = ("robots-secret", robot)

    def sign_in(secret: str) -> str:
        workspace = WorkspaceClient(host=emulator.host, client_id="robots-id", client_secret=secret)
        return workspace.config.authenticate()["Authorization"].removeprefix("Bearer ")

    token = await anyio.to_thread.run_sync(sign_in, "robots-secret")
    assert emulator.state.user_of(token) is robot
    with pytest.raises(Exception, match="invalid_client"):
        await anyio.to_thread.run_sync(sign_in, "another")
