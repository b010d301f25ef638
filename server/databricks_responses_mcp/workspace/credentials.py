"""Credentials: the address of the workspace, and the headers that each request to it has.

A host and a token are used as they are. Every other way to sign in uses the Databricks SDK, which is imported only then
(`databricks_responses_mcp.workspace.sdk_credentials`).
"""

import os
import re
from collections.abc import Mapping
from typing import Protocol

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.host import WorkspaceHost, normalise_host
from databricks_responses_mcp.workspace.settings import Settings

WORKSPACE_ID_HEADER = "X-Databricks-Workspace-Id"

# Each of these means that another way to sign in than a token is, or may be, configured.
SIGN_IN_VARIABLES = (
    "DATABRICKS_CLIENT_ID",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_USERNAME",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_METADATA_SERVICE_URL",
    "DATABRICKS_OIDC_TOKEN_ENV",
    "DATABRICKS_OIDC_TOKEN_FILEPATH",
    "DATABRICKS_OIDC_TOKEN_FILE",
    "DATABRICKS_GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_CREDENTIALS",
    "DATABRICKS_AZURE_RESOURCE_ID",
    "ARM_CLIENT_ID",
    "ARM_CLIENT_SECRET",
    "ARM_USE_MSI",
)


class Credentials(Protocol):
    """Authenticates requests to the workspace."""

    async def headers(self) -> Mapping[str, str]:
        """Return all headers that authenticate a request, valid now. Raises ``BridgeError`` if there are none."""
        ...

    async def refresh(self) -> bool:
        """Forget the current credentials, so that the next `headers` are new; return False if they would not change."""
        ...

    async def host(self) -> WorkspaceHost:
        """Return the address of the workspace. Raises ``BridgeError`` if it is not known."""
        ...

    @property
    def profile(self) -> str | None:
        """The profile of ``~/.databrickscfg`` that the credentials come from, if it is known."""
        ...

    @property
    def describe(self) -> str:
        """Describe how the user is signed in: ``token from DATABRICKS_TOKEN``, ``profile DEFAULT (databricks-cli)``."""
        ...

    @property
    def renewal(self) -> str | None:
        """What a user does whose credentials the workspace refuses; None if they come from this machine."""
        ...


class FixedHost:
    """The common part of `Credentials` for a given host: without a profile, and with tokens that cannot be renewed.

    Args:
        host: the address of the workspace.
    """

    def __init__(self, host: WorkspaceHost) -> None:
        self._host = host

    async def refresh(self) -> bool:
        """Return False: a given token cannot be renewed."""
        return False

    async def host(self) -> WorkspaceHost:
        """Return the given host."""
        return self._host

    @property
    def profile(self) -> str | None:
        """None: there is no profile."""
        return None

    @property
    def renewal(self) -> str | None:
        """None: the token comes from this machine."""
        return None


class TokenCredentials(FixedHost):
    """A given host and bearer token.

    Args:
        host: the address of the workspace.
        token: the bearer token, never shown.
        source: where the token came from, for people.
        workspace_id: the id of the workspace at a shared address; the default is the host's own.
    """

    def __init__(
        self,
        host: WorkspaceHost,
        token: str,
        *,
        source: str = "token from DATABRICKS_TOKEN",
        workspace_id: str | None = None,
    ) -> None:
        workspace = workspace_id or host.workspace_id
        super().__init__(WorkspaceHost(host.origin, workspace))
        self._describe = source
        self._headers = {"Authorization": f"Bearer {checked_token(token)}"}
        if workspace:
            self._headers[WORKSPACE_ID_HEADER] = workspace

    async def headers(self) -> Mapping[str, str]:
        """Return the same headers every time."""
        return self._headers

    @property
    def describe(self) -> str:
        """Return where the token came from."""
        return self._describe

    def __repr__(self) -> str:
        return f"TokenCredentials({self._host.origin!r}, {self._describe!r})"


def credentials_for(settings: Settings, environ: Mapping[str, str] = os.environ) -> Credentials:
    """Return the configured way to sign in. No request is sent before the first `Credentials.headers`.

    A host and a token are used as they are, if no profile and no other way to sign in is configured. In all other cases
    the Databricks SDK reads the process's environment and ``~/.databrickscfg``.

    Raises:
        BridgeError: ``not_configured`` for an invalid host or token.
    """
    host = normalise_host(settings.host) if settings.host else None
    token = settings.token.get_secret_value() if settings.token else None
    settings.secrets.add(token)
    kind = environ.get("DATABRICKS_AUTH_TYPE", "").strip()
    if host and token and not settings.profile and _only_token(kind, environ):
        return TokenCredentials(host, token, workspace_id=environ.get("DATABRICKS_WORKSPACE_ID", "").strip() or None)
    # Imported here: it prepares the SDK, which most processes never need.
    from databricks_responses_mcp.workspace.sdk_credentials import SdkCredentials

    return SdkCredentials(settings, host=host, environ=environ)


def checked_token(raw: str) -> str:
    """Return a token as it is sent in a header: without quotes, spaces and a copied ``Bearer`` around it.

    Raises:
        BridgeError: ``not_configured``, without the value, if it is a placeholder or cannot be a token.
    """
    token = re.sub(r"^Bearer(?:\s+|$)", "", raw.strip().strip("\"'`").strip(), flags=re.IGNORECASE)
    if re.search(r"\$\{|\$\(|\{\{|^\$[A-Za-z_]|^%[A-Za-z_]+%$|^<.*>$|^(?:dapi)?[.\u2026xX*]+$", token) or not token:
        raise _wrong_token("DATABRICKS_TOKEN is a placeholder that was never filled in.")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise _wrong_token("DATABRICKS_TOKEN contains spaces, line breaks or letters that no token has.")
    return token


def _only_token(kind: str, environ: Mapping[str, str]) -> bool:
    """Return whether the token is the only configured way to sign in, or the chosen one."""
    return kind == "pat" or (not kind and not any(environ.get(name, "").strip() for name in SIGN_IN_VARIABLES))


def _wrong_token(message: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        message,
        "Put the token itself there; in the workspace: Settings, Developer, Access tokens, Generate new token.",
    )
