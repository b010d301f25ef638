"""The workspace's credentials, given out only for addresses that they may be sent to.

Every request and every MCP server gets the workspace's token here, for a stated address, and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import replace

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.apps import Apps, read_address
from databricks_responses_mcp.workspace.credentials import Credentials

_MIN_TOKEN_LENGTH = 8


class Access:
    """Authenticates requests to the workspace's own origin, and to Apps that the workspace has confirmed.

    Args:
        credentials: of the workspace.
        apps: the workspace's Apps.
    """

    def __init__(self, credentials: Credentials, apps: Apps) -> None:
        self._credentials = credentials
        self._apps = apps

    async def origin(self) -> str:
        """Return scheme, host and port of the workspace.

        Raises:
            BridgeError: as for signing in, where only that gives the address.
        """
        return (await self._credentials.host()).origin

    async def address(self, target: str) -> str:
        """Return the whole URL of a path of the workspace or of an App's address, for `headers_for`.

        Raises:
            BridgeError: ``invalid_argument`` for every other target.
        """
        if target.startswith("/"):
            if any(part in (".", "..") for part in target.partition("?")[0].split("/")) or "\\" in target:
                raise _refused("The path")
            return await self.origin() + target
        address = read_address(target)
        if address is None or not self._apps.is_confirmed(address):
            raise _refused(address.origin if address is not None else "The address")
        return target

    async def headers_for(self, address: str) -> Mapping[str, str]:
        """Return all headers that authenticate a request to an address, valid now.

        Raises:
            BridgeError: ``invalid_argument`` for an address that they may not be sent to; as for signing in.
        """
        if not address.startswith(f"{await self.origin()}/"):
            app = read_address(address)
            if app is None or not self._apps.is_confirmed(app):
                raise _refused(app.origin if app is not None else "The address")
        return await self._credentials.headers()

    async def may_hold_token(self, url: str) -> bool:
        """Return whether the workspace's token may be sent to an MCP server at ``url``.

        Raises:
            BridgeError: as for signing in, and for asking the workspace for its Apps.
        """
        if url.startswith(f"{await self.origin()}/"):
            return True
        address = read_address(url)
        return address is not None and await self._apps.confirm(address)

    async def holds_token(self, text: str) -> bool:
        """Return whether a text contains credentials of the workspace.

        Raises:
            BridgeError: as for signing in.
        """
        authorization = (await self._credentials.headers()).get("Authorization", "")
        token = authorization.partition(" ")[2].strip() or authorization
        return len(token) >= _MIN_TOKEN_LENGTH and token in text

    @property
    def profile(self) -> str | None:
        """The profile that is signed in with, if it is known."""
        return self._credentials.profile

    async def refresh(self) -> bool:
        """Forget the current credentials; return False if new ones would be the same."""
        return await self._credentials.refresh()

    def explained(self, error: BridgeError) -> BridgeError:
        """Return a failure of signing in with what its user can do; other failures unchanged."""
        renewal = self._credentials.renewal
        if error.code is not ErrorCode.UNAUTHENTICATED or renewal is None:
            return error
        return replace(error, hint=renewal, advice=())


def _refused(what: str) -> BridgeError:
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{what} is neither on the workspace nor one of its Apps, so nothing was sent there.",
        "Name a serving endpoint of the workspace, or an App of it as apps/NAME.",
    )
