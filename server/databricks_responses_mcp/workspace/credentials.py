"""Credentials: where the workspace is, and the headers that each request to it carries.

A host and a token need nothing but themselves. Every other way to sign in goes through the Databricks SDK, which is
imported only then (`databricks_responses_mcp.workspace.sdk_credentials`).
"""

import os
import re
from collections.abc import Mapping
from typing import Protocol

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.host import WorkspaceHost, normalise_host
from databricks_responses_mcp.workspace.settings import Settings

WORKSPACE_ID_HEADER = "X-Databricks-Workspace-Id"

# Any of these means that a way to sign in other than a token was configured, or may have been.
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
    """Proves to the workspace who is asking."""

    async def headers(self) -> Mapping[str, str]:
        """All headers that sign a request in, valid now. Raises ``BridgeError`` when there are none to be had."""
        ...

    async def refresh(self) -> bool:
        """Forget what was obtained, so that the next `headers` are new. False when they could only be the same."""
        ...

    async def host(self) -> WorkspaceHost:
        """Where the workspace is. Raises ``BridgeError`` when that is not known."""
        ...

    @property
    def profile(self) -> str | None:
        """The profile of ``~/.databrickscfg`` that the credentials come from, as far as is known."""
        ...

    @property
    def describe(self) -> str:
        """How one signs in, for a person: ``token from DATABRICKS_TOKEN``, ``profile DEFAULT (databricks-cli)``."""
        ...


class TokenCredentials:
    """A host and a bearer token, both given.

    Args:
        host: where the workspace is.
        token: the bearer token, never shown.
        source: where the token came from, for a person.
        workspace_id: which workspace of a shared address; the host's own, if it has one, unless this is given.
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
        self._host = WorkspaceHost(host.origin, workspace)
        self._describe = source
        self._headers = {"Authorization": f"Bearer {checked_token(token)}"}
        if workspace:
            self._headers[WORKSPACE_ID_HEADER] = workspace

    async def headers(self) -> Mapping[str, str]:
        """The same headers every time."""
        return self._headers

    async def refresh(self) -> bool:
        """Always false: a given token cannot be renewed."""
        return False

    async def host(self) -> WorkspaceHost:
        """The given host."""
        return self._host

    @property
    def profile(self) -> str | None:
        """None: host and token were given."""
        return None

    @property
    def describe(self) -> str:
        """Where the token came from."""
        return self._describe

    def __repr__(self) -> str:
        return f"TokenCredentials({self._host.origin!r}, {self._describe!r})"


def credentials_for(settings: Settings, environ: Mapping[str, str] = os.environ) -> Credentials:
    """The way to sign in that was configured. Nothing is asked of anyone before the first `Credentials.headers`.

    A host and a token, with no profile named and no other way to sign in beside them, are used as they are. Everything
    else is left to the Databricks SDK, which reads the process's environment and ``~/.databrickscfg`` itself.

    Raises:
        BridgeError: ``not_configured`` for a host or token that cannot be one.
    """
    host = normalise_host(settings.host) if settings.host else None
    token = settings.token.get_secret_value() if settings.token else None
    settings.secrets.add(token)
    kind = environ.get("DATABRICKS_AUTH_TYPE", "").strip()
    if host and token and not settings.profile and _only_token(kind, environ):
        return TokenCredentials(host, token, workspace_id=environ.get("DATABRICKS_WORKSPACE_ID", "").strip() or None)
    # Imported here: it prepares for the SDK, which most processes never need.
    from databricks_responses_mcp.workspace.sdk_credentials import SdkCredentials

    return SdkCredentials(settings, host=host, environ=environ)


def checked_token(raw: str) -> str:
    """A token as it goes into a header: quotes, spaces and a copied ``Bearer`` around it are taken off.

    Raises:
        BridgeError: ``not_configured``, never showing it, when it is a placeholder or cannot be a token.
    """
    token = re.sub(r"^Bearer(?:\s+|$)", "", raw.strip().strip("\"'`").strip(), flags=re.IGNORECASE)
    if re.search(r"\$\{|\$\(|\{\{|^\$[A-Za-z_]|^%[A-Za-z_]+%$|^<.*>$|^(?:dapi)?[.\u2026xX*]+$", token) or not token:
        raise _wrong_token("DATABRICKS_TOKEN is a placeholder that was never filled in.")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise _wrong_token("DATABRICKS_TOKEN holds spaces, line breaks or letters that no token has.")
    return token


def _only_token(kind: str, environ: Mapping[str, str]) -> bool:
    """Whether the token is the only way to sign in that was configured, or the one that was chosen."""
    return kind == "pat" or (not kind and not any(environ.get(name, "").strip() for name in SIGN_IN_VARIABLES))


def _wrong_token(message: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        message,
        "Put the token itself there; in the workspace: Settings, Developer, Access tokens, Generate new token.",
    )
