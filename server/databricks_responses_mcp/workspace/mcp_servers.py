"""MCP servers that a model may call while it answers: named in the configuration, authenticated by the bridge.

A caller names servers; addresses and secrets come from the setting ``mcp_servers`` and the environment, and are added
to each request when it is sent. The workspace's own servers need no configuration: managed servers are named by their
paths under ``/api/2.0/mcp/``, MCP services by their names in Unity Catalog. The bridge's own credentials are used for
them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.workspace.access import Access
from databricks_responses_mcp.workspace.credentials import WORKSPACE_ID_HEADER
from databricks_responses_mcp.workspace.managed_mcp import MANAGED_FORMS, managed_label, managed_path
from databricks_responses_mcp.workspace.mcp_server_entries import REFERENCE, McpServerEntry
from databricks_responses_mcp.workspace.secret_values import MIN_SECRET_LENGTH, SecretValues

_HINT = "Set it in the environment of this server's process, where the MCP host starts it."


class McpServers:
    """The servers that calls may name.

    Args:
        entries: the configured servers, by name.
        environ: the environment in which ``${NAME}`` is looked up, at each call.
        secrets: receives the credentials of the servers.
    """

    def __init__(
        self, entries: Mapping[str, McpServerEntry], environ: Mapping[str, str], secrets: SecretValues
    ) -> None:
        self._entries = entries
        self._environ = environ
        self._secrets = secrets

    @property
    def configured(self) -> dict[str, str]:
        """The configured servers outside the workspace, with their descriptions."""
        return {name: entry.description or "" for name, entry in self._entries.items() if entry.url is not None}

    def labels(self, names: Iterable[str]) -> dict[str, str]:
        """Return the ``server_label`` of each name. It never changes for a name, because stored items contain it.

        Raises:
            BridgeError: ``invalid_argument`` for an unknown name, with the known ones.
        """
        return {name: self._label(name) for name in names}

    async def resolve(self, names: Sequence[str], access: Access) -> list[dict[str, Any]]:
        """Return the ``mcp`` tools of a request, with secrets: for one request, never to be stored.

        Raises:
            BridgeError: ``invalid_argument`` for an unknown name; ``not_configured`` for a missing secret; as for
                signing in to the workspace.
        """
        return [await self._tool(name, label, access) for name, label in self.labels(names).items()]

    def _label(self, name: str) -> str:
        entry = self._entries.get(name)
        if entry is not None and entry.url is not None:
            return name
        if (label := managed_label(name)) is not None:
            return label
        configured = ", ".join(sorted(name for name, entry in self._entries.items() if entry.url)) or "none"
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"There is no MCP server {quoted(name)}; configured: {configured}.",
            f"Use one of those, or a server of the workspace: {', '.join(MANAGED_FORMS)}. The setting "
            "RESPONSES_MCP_MCP_SERVERS adds others.",
        )

    async def _tool(self, name: str, label: str, access: Access) -> dict[str, Any]:
        entry = self._entries.get(name) or McpServerEntry()
        tool: dict[str, Any] = {"type": "mcp", "server_label": label}
        if entry.url is not None:
            tool["server_url"] = entry.url
            if entry.authorization is not None:
                # The API expects the token only, and adds Bearer itself.
                tool["authorization"] = _bare(self._filled(entry.authorization, name, "authorization"))
            if entry.headers:
                tool["headers"] = {key: self._filled(value, name, key) for key, value in entry.headers.items()}
            headers: Mapping[str, str] = tool.get("headers", {})
            self._secrets.add(tool.get("authorization"))
            self._secrets.add(*(value for key, value in headers.items() if key.lower() not in PLAIN_HEADERS))
            told = [tool.get("authorization", ""), *headers.values()]
            await self._check_receiver(name, entry.url, told, access)
        else:
            tool |= await _workspace_access(name, access)
        if entry.allowed_tools is not None:
            tool["allowed_tools"] = list(entry.allowed_tools)
        tool["require_approval"] = entry.require_approval
        if entry.description:
            tool["server_description"] = entry.description
        return tool

    async def _check_receiver(self, name: str, url: str, values: Iterable[str], access: Access) -> None:
        """Refuse to send the workspace's credentials to a server outside the workspace."""
        ours = [
            secret
            for key in _WORKSPACE_SECRETS
            if len(secret := self._environ.get(key, "").strip()) >= MIN_SECRET_LENGTH
        ]
        for value in values:
            if not value or not (any(secret in value for secret in ours) or await access.holds_token(value)):
                continue
            if not await access.may_hold_token(url):
                raise BridgeError(
                    ErrorCode.NOT_CONFIGURED,
                    f"The MCP server {name!r} is not on the workspace, and would receive its credentials.",
                    "Configure its own credential. The workspace's token is sent only to the workspace and its Apps.",
                )
            return

    def _filled(self, text: str, name: str, where: str) -> str:
        """Return ``text`` with references to the environment resolved."""

        def value_of(match: re.Match[str]) -> str:
            value = self._environ.get(match[1], "").strip()
            if not value:
                raise _not_configured(
                    f"The MCP server {quoted(name)} takes its {where} from {match[1]}, which is not set."
                )
            if not value.isprintable():
                raise _not_configured(
                    f"{match[1]}, for the MCP server {quoted(name)}, contains characters that no header may have."
                )
            return value

        return re.sub(REFERENCE, value_of, text)


PLAIN_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent", WORKSPACE_ID_HEADER.lower()})
"""Headers whose values are not secret; redacting them would damage answers."""

_WORKSPACE_SECRETS = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_PASSWORD", "ARM_CLIENT_SECRET")


async def _workspace_access(name: str, access: Access) -> dict[str, Any]:
    """Return URL and token of a server of the workspace, valid now."""
    path = managed_path(name)
    assert path is not None
    url = await access.address(path)
    headers = await access.headers_for(url)
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            "The workspace is signed in to without a token, so the model cannot be given access to its MCP server "
            f"{quoted(name)}.",
            "Sign in with OAuth or a personal access token.",
        )
    signed: dict[str, Any] = {"server_url": url, "authorization": token.strip()}
    workspace = headers.get(WORKSPACE_ID_HEADER)
    return {**signed, "headers": {WORKSPACE_ID_HEADER: workspace}} if workspace else signed


def _bare(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else authorization.strip()


def _not_configured(message: str) -> BridgeError:
    return BridgeError(ErrorCode.NOT_CONFIGURED, message, _HINT)
