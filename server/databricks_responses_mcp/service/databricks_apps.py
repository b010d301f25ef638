"""Databricks Apps: the platform's variables for an app, and its headers about the user of each request.

The platform's proxy signs users in and names them in headers that it sets itself. They prove nothing anywhere else, so
they are read only where ``DATABRICKS_APP_NAME`` is set; other applications of this package never see them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mcp.server.auth.provider import AccessToken
from pydantic import SecretStr
from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.requests import HTTPConnection

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.service.callers import MAX_ID_CHARACTERS, Caller, SignedInUser
from databricks_responses_mcp.service.refusals import SignInError
from databricks_responses_mcp.service.sign_in import MAX_TOKEN_BYTES
from databricks_responses_mcp.workspace.host import normalise_host

USER_HEADER = "x-forwarded-user"
NAME_HEADERS = ("x-forwarded-email", "x-forwarded-preferred-username")
TOKEN_HEADER = "x-forwarded-access-token"  # noqa: S105 - the name of a header
HOST_HEADER = "x-forwarded-host"

_APP_NAME = re.compile(r"[a-z0-9-]{1,63}")
_DOMAIN = ".databricksapps.com"
_DEFAULT_PORT = 8000
_CLIENT = "databricks-apps"


@dataclass(frozen=True, slots=True)
class AppsPlatform:
    """The app that this process is.

    Attributes:
        app_name: the name of the app.
        workspace: the origin of its workspace, which vouches for the users.
        port: where the platform's proxy connects to.
    """

    app_name: str
    workspace: str
    port: int

    def is_host(self, name: str) -> bool:
        """Return whether a host name is one that the platform gives this app."""
        return name.startswith(f"{self.app_name}-") and name.endswith(_DOMAIN)


def is_databricks_app(environ: Mapping[str, str]) -> bool:
    """Return whether this process is a Databricks App."""
    return bool(environ.get("DATABRICKS_APP_NAME", "").strip())


def apps_platform(environ: Mapping[str, str]) -> AppsPlatform | None:
    """Return the app that this process is; None if it is none.

    Raises:
        BridgeError: ``not_configured`` if the platform's variables are not as documented.
    """
    if not is_databricks_app(environ):
        return None
    name = environ["DATABRICKS_APP_NAME"].strip()
    port = environ.get("DATABRICKS_APP_PORT", "").strip() or str(_DEFAULT_PORT)
    host = environ.get("DATABRICKS_HOST", "").strip()
    if not _APP_NAME.fullmatch(name):
        raise _wrong("DATABRICKS_APP_NAME is not the name of an app")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise _wrong("DATABRICKS_APP_PORT is not a port")
    if not host:
        raise _wrong("DATABRICKS_APP_NAME is set and DATABRICKS_HOST is not")
    return AppsPlatform(name, normalise_host(host).origin, int(port))


class AppsBackend(AuthenticationBackend):
    """Reads the user that the platform's proxy signed in, and the user's own token for the workspace.

    Args:
        platform: the app that this process is.
    """

    def __init__(self, platform: AppsPlatform) -> None:
        self._platform = platform

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SignedInUser]:
        """Return the user of a request.

        Raises:
            SignInError: if a header is missing, or there is more than one.
        """
        subject = _one(conn, USER_HEADER)
        if not subject or len(subject) > MAX_ID_CHARACTERS or not subject.isprintable():
            raise SignInError(
                403,
                "The request does not name its user. Call the app at its own URL, through the proxy of Databricks "
                "Apps, which sets X-Forwarded-User.",
            )
        token = _one(conn, TOKEN_HEADER)
        if not token or len(token) > MAX_TOKEN_BYTES:
            raise SignInError(
                403,
                "The request carries no token of its user, and the workspace is never called with the app's own "
                "identity instead. The manager of the app must enable user authorization for it and add the scopes "
                "that it needs (user_api_scopes); the user must then open the app once and consent.",
            )
        name = next(filter(None, (_one(conn, header) for header in NAME_HEADERS)), "")
        issuer = self._platform.workspace
        caller = Caller(issuer=issuer, subject=subject, name=name[:MAX_ID_CHARACTERS], workspace_token=SecretStr(token))
        access = AccessToken(token="", client_id=_CLIENT, scopes=[], subject=subject, claims={"iss": issuer})
        return AuthCredentials(), SignedInUser(caller, access)


def _one(conn: HTTPConnection, header: str) -> str:
    """Return the value of a header that the proxy sets once; empty if there is none, or more than one."""
    values = conn.headers.getlist(header)
    return values[0].strip() if len(values) == 1 else ""


def _wrong(problem: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"{problem}.",
        "Databricks Apps sets these variables; elsewhere leave DATABRICKS_APP_NAME unset and configure "
        "RESPONSES_MCP_SERVICE_OAUTH_ISSUER or RESPONSES_MCP_SERVICE_KEYS_FILE.",
    )
