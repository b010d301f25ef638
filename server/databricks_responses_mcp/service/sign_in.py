"""Signing users in: which of the three ways a service uses, and the ASGI middleware that does it.

The client is either signed in, as a `SignedInUser` in the scope of the request, or gets an answer from this module,
which reads only the headers of the request.
"""

from collections.abc import Sequence
from typing import Any

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl, SecretStr
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_responses_mcp.service.callers import MAX_ID_CHARACTERS, Caller, SignedInUser
from databricks_responses_mcp.service.failed_sign_ins import FailedSignIns, TokenRefusedError
from databricks_responses_mcp.service.refusals import SignInError, refusal, sign_in_refusal
from databricks_responses_mcp.service.static_keys import KEY_PREFIX, KeyFile

MAX_TOKEN_BYTES = 16_384
"""The largest bearer token that is looked at."""

_PLATFORM_HEADERS = (b"x-forwarded-", b"forwarded", b"x-real-ip")


def signed_in(app: ASGIApp, backend: AuthenticationBackend, auth: AuthSettings | None = None) -> ASGIApp:
    """Return an application that answers only requests of signed-in users.

    Args:
        app: the application that answers them.
        backend: finds the user of a request.
        auth: what OAuth tokens are needed, if that is how users sign in.
    """
    resource = auth.resource_server_url if auth is not None else None
    metadata = build_resource_metadata_url(resource) if resource is not None else None
    signed: ASGIApp = RequireAuthMiddleware(app, list(auth.required_scopes or ()) if auth is not None else [], metadata)
    signed = AuthContextMiddleware(signed)
    signed = _WithoutPlatformHeaders(signed)
    failed = FailedSignIns()
    signed = AuthenticationMiddleware(signed, backend=_LoggingBackend(backend, failed), on_error=sign_in_refusal)
    return _OneCredential(signed, app, failed)


class _LoggingBackend(AuthenticationBackend):
    """Logs why the credentials of a request were refused. A request without any is no failure: it asks how to sign in.

    Args:
        backend: finds the user of a request.
        failed: the log.
    """

    def __init__(self, backend: AuthenticationBackend, failed: FailedSignIns) -> None:
        self._backend = backend
        self._failed = failed

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Return the user of a request; None if it has no credentials that are valid here.

        Raises:
            SignInError: if it cannot be said whether they are, or which are missing.
        """
        try:
            found = await self._backend.authenticate(conn)
        except TokenRefusedError as refused:
            self._failed.report(conn.scope, str(refused), is_routine=refused.is_routine)
            return None
        except SignInError as error:
            self._failed.report(conn.scope, error.text)
            raise
        if found is None and "authorization" in conn.headers:
            self._failed.report(conn.scope, "the Authorization header has no token that is valid here")
        return found


class BearerBackend(BearerAuthBackend):
    """The SDK's check of bearer tokens, whose users are `SignedInUser`.

    Args:
        verifier: checks the tokens.
        resource_server_url: the resource that a token must be issued for.
        keeps_token: whether `Caller.mcp_token` is set, because the workspace exchanges it.
    """

    def __init__(
        self, verifier: TokenVerifier, *, resource_server_url: AnyHttpUrl | None = None, keeps_token: bool = False
    ) -> None:
        super().__init__(verifier, resource_server_url=resource_server_url)
        self._keeps_token = keeps_token

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SignedInUser] | None:
        """Return the user of a request; None if it has no bearer token.

        Raises:
            TokenRefusedError: if the token is not valid here.
            SignInError: if it cannot be said whether it is.
        """
        found: Any = await super().authenticate(conn)
        if found is None:
            return None
        credentials, user = found
        kept = ""
        if self._keeps_token:
            token = conn.headers["authorization"].partition(" ")[2].strip()
            kept = "" if token.startswith(KEY_PREFIX) else token
        return credentials, SignedInUser(_caller(user.access_token, kept), user.access_token)


class Verifiers:
    """Checks each token in the one way that it may be valid in: as a static key, or as an OAuth access token.

    Args:
        keys: the static keys, if there are any.
        oauth: checks access tokens, if there is an issuer.
    """

    def __init__(self, keys: KeyFile | None, oauth: TokenVerifier | None) -> None:
        self._keys = keys
        self._oauth = oauth

    async def verify_token(self, token: str) -> AccessToken | None:
        """See `TokenVerifier`.

        Raises:
            TokenRefusedError: if the token is not valid.
            SignInError: if that cannot be said.
        """
        token = token.strip()
        if not token or len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise TokenRefusedError("the token is empty, too long or not ASCII")
        if self._keys is not None and token.startswith(KEY_PREFIX):
            if (access := await self._keys.verify_token(token)) is None:
                raise TokenRefusedError("there is no such static key")
            return access
        if self._oauth is None:
            raise TokenRefusedError("the token is not a static key, and there is no OAuth issuer")
        return await self._oauth.verify_token(token)


class _OneCredential:
    """ASGI middleware that refuses requests with several Authorization headers, of which proxies check another one.

    Args:
        app: the application that answers requests.
        lifespan: the application whose lifetime is run, without sign-in.
        failed: the log of refused requests.
    """

    def __init__(self, app: ASGIApp, lifespan: ASGIApp, failed: FailedSignIns) -> None:
        self._app = app
        self._lifespan = lifespan
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the application's lifetime."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif _count(scope["headers"], b"authorization") > 1:
            text = "The request has more than one Authorization header. Send one."
            self._failed.report(scope, text)
            await refusal(401, text, {"WWW-Authenticate": 'Bearer error="invalid_request"'})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _WithoutPlatformHeaders:
    """ASGI middleware that drops what only a platform's proxy may say, so that nothing behind it can believe it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request."""
        if scope["type"] == "http":
            dropped = (*_PLATFORM_HEADERS, b"authorization")
            kept = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(dropped)]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


def _caller(token: AccessToken, mcp_token: str) -> Caller:
    claims = token.claims or {}
    assert token.subject is not None
    return Caller(
        issuer=str(claims["iss"]),
        subject=token.subject,
        name=str(claims.get("name", ""))[:MAX_ID_CHARACTERS],
        mcp_token=SecretStr(mcp_token) if mcp_token else None,
    )


def _count(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> int:
    return sum(1 for given, _ in headers if given.lower() == name)
