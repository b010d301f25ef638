"""Checking the Host and Origin headers of requests to a service, against DNS rebinding and foreign web pages."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_responses_mcp.service.databricks_apps import HOST_HEADER, AppsPlatform
from databricks_responses_mcp.service.refusals import refusal
from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.workspace.host import is_loopback

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class AllowedAddresses:
    """The host names that requests may be addressed to, and the web pages that may send them.

    Ports are not compared, because port forwarding changes them, and a page that rebinds its name sends its name.

    Attributes:
        hosts: names in lower case; loopback names are always allowed, since no page of others has one.
        pages: the origins of web pages of others, in lower case.
        own_origin: the origin of the service itself, if it is known.
        platform: the Databricks App that this process is; requests may be addressed to the names that it has there.
    """

    hosts: frozenset[str]
    pages: frozenset[str] = frozenset()
    own_origin: str | None = None
    platform: AppsPlatform | None = None

    @classmethod
    def of(cls, settings: ServiceSettings, platform: AppsPlatform | None) -> "AllowedAddresses":
        """Return the addresses that the settings of a service allow."""
        hosts, own = frozenset(settings.allowed_hosts), None
        if settings.public_url is not None:
            parts = urlsplit(settings.public_url)
            hosts |= {_name(parts.netloc) or ""}
            own = f"{parts.scheme}://{parts.netloc}"
        return cls(hosts, frozenset(settings.allowed_origins), own, platform)

    def refused(self, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the text that refuse a request; None if it may be answered."""
        host = self._host(headers)
        name = _name(host)
        if name is None or not self._is_allowed(name):
            return 421, (
                "The request is not addressed to this service. Its administrator must name the host that clients use "
                "in RESPONSES_MCP_SERVICE_PUBLIC_URL or RESPONSES_MCP_SERVICE_ALLOWED_HOSTS."
            )
        origins = [origin.lower() for origin in headers.getlist("origin")]
        own = f"https://{host}" if self.platform is not None else self.own_origin
        if any(origin not in self.pages and origin not in (own, self.own_origin) for origin in origins):
            return 403, (
                "Web pages of this origin may not call this service. Its administrator can allow them in "
                "RESPONSES_MCP_SERVICE_ALLOWED_ORIGINS."
            )
        return None

    def _host(self, headers: Headers) -> str:
        """Return the host that the client addressed; empty if it is not clear which."""
        # The platform's proxy addresses the app by an internal name.
        forwarded = headers.getlist(HOST_HEADER) if self.platform is not None else []
        given = forwarded or headers.getlist("host")
        return given[0].strip().lower() if len(given) == 1 else ""

    def _is_allowed(self, name: str) -> bool:
        if name in self.hosts or is_loopback(name.strip("[]")):
            return True
        return self.platform is not None and self.platform.is_host(name)


class HostCheck:
    """ASGI middleware that answers only requests that are addressed to this service, from pages that may send them.

    Args:
        app: the application that answers them.
        allowed: the names.
    """

    def __init__(self, app: ASGIApp, allowed: AllowedAddresses) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refused = self._allowed.refused(Headers(scope=scope)) if scope["type"] == "http" else None
        await (self._app if refused is None else refusal(*refused))(scope, receive, send)


def _name(host: str) -> str | None:
    """Return the name in a Host header, without a port."""
    found = _HOST.fullmatch(host)
    return None if found is None else found[1]
