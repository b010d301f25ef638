"""Databricks Apps as models: which addresses belong to Apps of this workspace, as the workspace itself reports."""

import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from databricks_responses_mcp.errors import BridgeError, ErrorCode

NAME_PREFIX = "apps/"
"""The prefix of model names that mean an App: ``apps/NAME``."""

_APPS = "/api/2.0/apps"
_DOMAINS = (".databricksapps.com", ".azuredatabricksapps.com", ".databricksapps.us")
_MAX_PAGES = 20
_REMEMBERED_SECONDS = 300.0
# The answers of a workspace that has no Apps, or does not show them to this user.
_NO_LISTING = (400, 403, 404, 405, 501)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
# Only addresses that every parser reads in the same way: no user name, escape, backslash, query or fragment.
_ADDRESS = re.compile(
    r"(?P<origin>https?://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[::1\])(?::[0-9]{1,5})?)"
    r"(?P<path>(?:/[A-Za-z0-9._~-]{1,200}){0,20})/?"
)

GetJson = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class AppAddress:
    """An address without a slash at its end.

    Attributes:
        origin: scheme, host and port.
        path: empty, or with a slash at its beginning.
    """

    origin: str
    path: str

    def __str__(self) -> str:
        return self.origin + self.path

    def contains(self, other: "AppAddress") -> bool:
        """Whether ``other`` is this address or one below it."""
        return self.origin == other.origin and f"{other.path}/".startswith(f"{self.path}/")


class Apps:
    """The Apps of the workspace, requested when one is named; an answer is cached for five minutes.

    Args:
        get_json: requests a path of the workspace, with ``params``; raises ``BridgeError``.
        origin: the workspace's own origin.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self, get_json: GetJson, origin: Callable[[], Awaitable[str]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._get_json = get_json
        self._origin = origin
        self._clock = clock
        self._by_name: dict[str, tuple[AppAddress, float]] = {}
        self._listed_at: float | None = None
        self._confirmed: set[AppAddress] = set()

    async def request_url(self, model: str) -> str:
        """Return the URL for requests to an App that was named by ``apps/NAME`` or by its address.

        Raises:
            BridgeError: ``invalid_argument`` if it is not an App of this workspace, ``model_not_found`` for an App
                without an address, and every failure of the request.
        """
        if model.startswith(NAME_PREFIX):
            return f"{await self._named(model.removeprefix(NAME_PREFIX))}/responses"
        address = read_address(model)
        if address is None or not await self.confirm(address):
            raise _no_app(address)
        # An App may have other paths below its address, which the caller then names.
        return str(address) if address not in self._confirmed else f"{address}/responses"

    async def confirm(self, address: AppAddress) -> bool:
        """Return whether the workspace lists an App at or above an address; False if it shows no list.

        Raises:
            BridgeError: if the request fails.
        """
        if not self._may_be_app(address, await self._origin()):
            return False
        fresh = self._listed_at is not None and self._clock() - self._listed_at < _REMEMBERED_SECONDS
        if not self.is_confirmed(address) and not fresh:
            try:
                async for app in self._listing():
                    await self._keep(app)
            except BridgeError as error:
                if error.status not in _NO_LISTING:
                    raise
            else:
                self._listed_at = self._clock()
        return self.is_confirmed(address)

    def is_confirmed(self, address: AppAddress) -> bool:
        """Return whether the workspace has named an App at or above an address in this process."""
        return any(app.contains(address) for app in self._confirmed)

    async def _named(self, name: str) -> AppAddress:
        if not _NAME.fullmatch(name):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"{name[:100]!r} cannot be the name of an App.",
                "Name the App as the workspace does, e.g. apps/my-agent: letters, digits and hyphens.",
            )
        known = self._by_name.get(name)
        if known is not None and self._clock() - known[1] < _REMEMBERED_SECONDS:
            return known[0]
        try:
            address = await self._keep(await self._get_json(f"{_APPS}/{name}"))
        except BridgeError as error:
            if error.status not in _NO_LISTING:
                raise
            raise BridgeError(
                ErrorCode.MODEL_NOT_FOUND,
                f"This workspace has no App {name!r}, or you may not see it.",
                "`databricks apps list` shows the names.",
                status=error.status,
                request_id=error.request_id,
            ) from error
        if address is None:
            raise BridgeError(
                ErrorCode.MODEL_NOT_FOUND,
                f"The App {name!r} has no address that the workspace's token may be sent to.",
                "Deploy it, or name another model.",
            )
        self._by_name[name] = (address, self._clock())
        return address

    async def _listing(self) -> Any:
        token = ""
        for _ in range(_MAX_PAGES):
            params = {"page_size": "100", **({"page_token": token} if token else {})}
            page = await self._get_json(_APPS, params=params)
            if not isinstance(page, Mapping):
                return
            for app in _entries(page.get("apps")):
                yield app
            token = str(page.get("next_page_token") or "")
            if not token:
                return

    async def _keep(self, app: Any) -> AppAddress | None:
        """Cache the address of an App that the workspace described; return None if it has no usable one."""
        url = app.get("url") if isinstance(app, Mapping) else None
        address = read_address(url) if isinstance(url, str) else None
        if address is None or not self._may_be_app(address, await self._origin()):
            return None
        self._confirmed.add(address)
        return address

    def _may_be_app(self, address: AppAddress, origin: str) -> bool:
        """Return whether an App can have such an address; plain http, and so loopback, only on the workspace's own
        origin.
        """
        if address.origin == origin:
            # Without a path this would be the whole workspace, whose API models must not call.
            return bool(address.path)
        parts = urlsplit(address.origin)
        return parts.scheme == "https" and parts.port in (None, 443) and (parts.hostname or "").endswith(_DOMAINS)


def read_address(text: str) -> AppAddress | None:
    """Return the address in a text; None if it is not one, or programs could read it differently."""
    found = _ADDRESS.fullmatch(text)
    if found is None or any(part in (".", "..") for part in found["path"].split("/")):
        return None
    return AppAddress(found["origin"].removesuffix(":443" if text.startswith("https") else ":80"), found["path"])


def _entries(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value


def _no_app(address: AppAddress | None) -> BridgeError:
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{address.origin if address is not None else 'That'} is not the address of a Databricks App of this "
        "workspace, so nothing was sent there.",
        "Name a serving endpoint, or the App as apps/NAME; `databricks apps list` shows the names and addresses.",
    )
