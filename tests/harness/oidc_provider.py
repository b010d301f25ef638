"""A real OAuth issuer: npm's oidc-provider, as a process on loopback."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
from anyio.streams.buffered import BufferedByteReceiveStream

from harness.deadlines import DEADLINE_SECONDS
from harness.npm import npm_bin

PROGRAM = Path(__file__).parent / "issuer.mjs"
PROVIDER = "oidc-provider@9.13.3"


@asynccontextmanager
async def issuer_for(resource: str, *clients: str) -> AsyncIterator[str]:
    """Run an issuer that knows the resource and these clients; yields its URL."""
    modules = npm_bin(PROVIDER).parent
    env = {"PATH": os.environ["PATH"], "NODE_MODULES": str(modules)}
    command = ["node", str(PROGRAM), resource, *clients]
    async with await anyio.open_process(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(DEADLINE_SECONDS):
                line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 10_000)
            yield line.decode().strip()
        finally:
            process.kill()


async def token_of(issuer: str, name: str, resource: str, scope: str = "mcp") -> str:
    """Return an access token of a client of the issuer."""
    async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, auth=(name, f"secret-of-{name}")) as http:
        asked = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
        answer = await http.post(f"{issuer}/token", data=asked)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])
