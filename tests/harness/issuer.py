"""An OAuth issuer in the process of a test, which signs any claims, and fails in the way that a test selects."""

import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

RESOURCE = "https://mcp.example.com/mcp"


@dataclass
class Issuer:
    """An issuer that answers on loopback.

    Attributes:
        url: its name.
        keys: its private keys, by id.
        requested: the paths that were asked for.
        fault: how the next answers with keys fail: ``hang``, ``redirect``, ``huge``, ``garbage``, ``500``; or ``""``.
        metadata: what its metadata says besides.
    """

    url: str
    keys: dict[str, Any] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    fault: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a valid token; those that are changed to None are left out."""
        now = int(time.time())
        usual = {"iss": self.url, "sub": "ada", "aud": RESOURCE, "exp": now + 300, "iat": now, "client_id": "cli"}
        return {name: value for name, value in {**usual, "scope": "mcp", **changed}.items() if value is not None}

    def token(self, kid: str = "one", algorithm: str = "RS256", headers: Any = None, **changed: Any) -> str:
        """Return a token that is signed with one of the keys."""
        given = {"kid": kid, "typ": "at+jwt", **(headers or {})}
        # Not jwt.encode, which refuses claims that are wrong.
        payload = json.dumps(self.claims(**changed)).encode()
        return jwt.PyJWS().encode(payload, self.keys[kid], algorithm, headers=given)

    def key_set(self) -> dict[str, Any]:
        """Return the public keys as the issuer publishes them, among keys that cannot be used."""
        published: list[Any] = [{"kty": "oct", "kid": "one", "k": "AAAA"}, {"kty": "RSA"}, "no key"]
        for kid, key in self.keys.items():
            kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
            published.append({**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"})
        return {"keys": published}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = Request(scope).url.path
        self.requested.append(path)
        await (await self._answer(path))(scope, receive, send)

    async def _answer(self, path: str) -> Response:
        if path == "/.well-known/openid-configuration":
            return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **self.metadata})
        if path not in ("/jwks", "/elsewhere"):
            return Response(status_code=404)
        if path == "/jwks" and self.fault:
            return await self._fail()
        return JSONResponse(self.key_set())

    async def _fail(self) -> Response:
        match self.fault:
            case "hang":
                await anyio.sleep(3600)
            case "redirect":
                return RedirectResponse(f"{self.url}/elsewhere")
            case "huge":
                return Response(json.dumps({**self.key_set(), "more": "x" * 2_000_000}))
            case "garbage":
                return Response("<html>")
        return Response(status_code=500)


def private_keys() -> dict[str, Any]:
    """Return an RSA key ``one`` and an EC key ``two``."""
    return {
        "one": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "two": ec.generate_private_key(ec.SECP256R1()),
    }


@asynccontextmanager
async def run_issuer() -> AsyncIterator[Issuer]:
    """Run an issuer on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        issuer = Issuer(f"http://127.0.0.1:{listening.getsockname()[1]}", private_keys())
        config = uvicorn.Config(issuer, log_config=None, lifespan="off", timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            try:
                yield issuer
            finally:
                server.should_exit = True
                tasks.cancel_scope.cancel()
