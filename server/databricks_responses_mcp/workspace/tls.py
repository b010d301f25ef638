"""The certificates that the workspace's name is checked against."""

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio.to_thread
import certifi

from databricks_responses_mcp.workspace.host import is_loopback


@dataclass(frozen=True, slots=True)
class Trust:
    """How to connect to a host.

    Attributes:
        loopback: whether the host is this machine.
        context: the TLS context, or False for plain http, which is for loopback only.
    """

    loopback: bool
    context: ssl.SSLContext | bool


async def trust_for(origin: str) -> Trust:
    """Return the trust for ``scheme://host[:port]``. Reading certificates takes tens of milliseconds: call it off the
    event loop.
    """
    parts = urlsplit(origin)
    loopback = is_loopback(parts.hostname or "")
    if parts.scheme == "http":
        return Trust(loopback, False)
    return Trust(loopback, await anyio.to_thread.run_sync(_context))


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    # The system's own store in addition, and SSL_CERT_FILE: a company's inspecting proxy is trusted there, not by
    # certifi.
    context.load_default_certs()
    return context
