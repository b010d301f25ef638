"""A service whose users sign in at a real OAuth issuer (npm's oidc-provider), with the SDK's own client."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.http_process import INITIALIZE
from harness.oidc_provider import issuer_for, token_of
from harness.stdio_process import ASK
from harness.team_service import TeamServer, bearer, team_server

pytestmark = [pytest.mark.anyio, pytest.mark.service]

CALLBACK = "http://127.0.0.1:9/callback"
FORM = re.compile(r'action="([^"]+)"')


class Tokens:
    """What a client keeps."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the client's registration."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep the client's registration."""
        self.client = client_info


@asynccontextmanager
async def signed_service(
    emulator: RunningEmulator, tmp_path: Path, **more: str
) -> AsyncIterator[tuple[TeamServer, str]]:
    """Run a service and its issuer; yields both."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    resource = f"http://{address}/mcp"
    async with issuer_for(resource, "ada", "bob") as issuer:
        env = {
            "RESPONSES_MCP_SERVICE_PUBLIC_URL": resource,
            "RESPONSES_MCP_SERVICE_OAUTH_ISSUER": issuer,
            "RESPONSES_MCP_SERVICE_OAUTH_SCOPES": "mcp",
            **more,
        }
        async with team_server(emulator, tmp_path, "--http", address, **env) as serving:
            yield serving, issuer


@asynccontextmanager
async def signed_in(serving: TeamServer, auth: Any) -> AsyncIterator[Any]:
    """Return the SDK's transport, which signs in by itself."""
    async with (
        create_mcp_http_client(auth=auth) as http,
        streamable_http_client(serving.url, http_client=http) as streams,
    ):
        yield streams


async def test_a_program_finds_the_issuer_and_signs_in_with_its_own_credentials(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    async with signed_service(emulator, tmp_path) as (serving, issuer):
        auth = ClientCredentialsOAuthProvider(serving.url, Tokens(), "ada", "secret-of-ada", scope="mcp", issuer=issuer)
        async with Client(signed_in(serving, auth), mode=era) as client:
            _, facts, failed = await Host(client).call(ASK, prompt=f"[[say signed in, {era}]]")
    assert (failed, facts["text"]) == (False, f"signed in, {era}")


async def test_a_person_signs_in_in_the_browser_with_pkce(emulator: RunningEmulator, tmp_path: Path, era: str) -> None:
    callback = ""

    async def browse(url: str) -> None:
        """Do what a person does in the browser: give a name, and consent."""
        nonlocal callback
        async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, follow_redirects=False) as browser:
            answer = await browser.get(url)
            for _ in range(12):
                if answer.is_redirect:
                    target = str(answer.headers["location"])
                    if target.startswith(CALLBACK):
                        callback = target
                        return
                    answer = await browser.get(str(httpx.URL(url).join(target)))
                    continue
                form = FORM.search(answer.text)
                assert form is not None, answer.text
                prompt = "login" if 'name="login"' in answer.text else "consent"
                given = {"prompt": prompt, **({"login": "grace", "password": "x"} if prompt == "login" else {})}
                answer = await browser.post(str(httpx.URL(url).join(form[1])), data=given)
        raise AssertionError("the issuer asks without end")

    async def code() -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(dict(parse_qsl(urlsplit(callback).query)))

    async with signed_service(emulator, tmp_path) as (serving, _):
        metadata = OAuthClientMetadata(
            redirect_uris=[CALLBACK],  # type: ignore[list-item] # pydantic reads text
            token_endpoint_auth_method="none",
            application_type="native",
            client_name="A host",
            scope="mcp",
        )
        auth = OAuthClientProvider(serving.url, metadata, Tokens(), browse, code)
        async with Client(signed_in(serving, auth), mode=era) as client:
            _, facts, failed = await Host(client).call(ASK, prompt="[[say grace]]")
    assert (failed, facts["text"]) == (False, "grace")


async def test_a_token_for_another_resource_or_without_the_scope_is_refused(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with signed_service(emulator, tmp_path) as (serving, issuer):

        async def answer_to(token: str) -> httpx.Response:
            return await serving.send("POST", "/mcp", INITIALIZE, bearer(token))

        right = await answer_to(await token_of(issuer, "ada", serving.url))
        other = await answer_to(await token_of(issuer, "ada", "https://other.example.com/mcp"))
        without_scope = await answer_to(await token_of(issuer, "ada", serving.url, "other"))
        unsigned = await serving.send("POST", "/mcp", INITIALIZE)
        metadata = {
            path: (await serving.send("GET", f"/.well-known/oauth-protected-resource{path}")).json()
            for path in ("", "/mcp", "/mcp/")
        }
    assert (right.status_code, other.status_code, without_scope.status_code) == (200, 401, 403)
    assert 'error="insufficient_scope"' in without_scope.headers["www-authenticate"]
    named = f'resource_metadata="{serving.origin}/.well-known/oauth-protected-resource/mcp"'
    assert named in unsigned.headers["www-authenticate"]
    assert (
        list(metadata.values())
        == [
            {
                "resource": serving.url,
                "authorization_servers": [issuer],
                "scopes_supported": ["mcp"],
                "bearer_methods_supported": ["header"],
            }
        ]
        * 3
    )


async def test_users_of_the_issuer_do_not_see_each_others_conversations(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with signed_service(emulator, tmp_path) as (serving, issuer):
        tokens = {name: await token_of(issuer, name, serving.url) for name in ("ada", "bob")}
        async with Client(serving.transport(bearer(tokens["ada"]))) as client:
            _, facts, _ = await Host(client).call(ASK, prompt="[[say mine]]")
        found = {}
        for name, token in tokens.items():
            async with Client(serving.transport(bearer(token))) as client:
                _, answer, failed = await Host(client).call(
                    ASK, prompt="[[say more]]", conversation_id=facts["conversation_id"]
                )
                found[name] = answer.get("text"), failed, (answer.get("error") or {}).get("code")
    assert found == {"ada": ("more", False, None), "bob": (None, True, "not_found")}
