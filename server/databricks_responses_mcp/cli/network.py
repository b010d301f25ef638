"""The configured address of the workspace, and the steps to reach it: name, connection, TLS, proxy."""

import os
import socket
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx
from anyio.streams.tls import TLSAttribute, TLSStream

from databricks_responses_mcp.cli.findings import NotApplicableError
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.credentials import SIGN_IN_VARIABLES
from databricks_responses_mcp.workspace.profiles import check_profile, config_path, read_profile
from databricks_responses_mcp.workspace.sdk_errors import no_workspace
from databricks_responses_mcp.workspace.settings import Settings
from databricks_responses_mcp.workspace.tls import trust_for

_SECONDS = 10.0
_CHECK_HOST = "Check DATABRICKS_HOST for a typing mistake"


def configured_host(
    settings: Settings, *, option: bool, environ: Mapping[str, str] = os.environ
) -> tuple[str | None, str]:
    """Return the workspace's address as configured, and its source; None and the reason if only signing in shows it.

    Reads ``~/.databrickscfg``: call it in a thread.

    Args:
        option: whether the address was given as an option.

    Raises:
        BridgeError: ``not_configured``.
    """
    if settings.host:
        return settings.host, "--host" if option else "DATABRICKS_HOST"
    path = config_path(environ)
    if settings.profile or path.exists():
        name = settings.profile or "DEFAULT"
        try:
            host = read_profile(name, environ).get("host", "")
        except BridgeError:
            if settings.profile:
                raise
            host = ""
        if host:
            return host, f"the profile {name} of {path.name}"
        return None, f"not in the profile {name} of {path.name}: signing in will show it"
    if settings.token or any(environ.get(name, "").strip() for name in SIGN_IN_VARIABLES):
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            "A way to sign in is set, but not which workspace it is for.",
            "Set DATABRICKS_HOST to the workspace's address as well.",
        )
    raise no_workspace()


def examine_profile(settings: Settings, origin: str, *, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse a profile that contradicts other settings.

    Reads ``~/.databrickscfg``: call it in a thread.

    Args:
        origin: the origin of the configured workspace.

    Raises:
        BridgeError: ``not_configured``, naming both sources.
    """
    if settings.profile:
        token = settings.token.get_secret_value() if settings.token else None
        check_profile(settings.profile, read_profile(settings.profile, environ), origin, token)


async def reach(origin: str) -> str:
    """Connect to the workspace's host and disconnect; return what answered.

    Raises:
        BridgeError: ``upstream_unavailable`` or ``not_configured``, naming the step that failed.
    """
    if not origin:
        raise NotApplicableError("not checked before signing in, which shows the address")
    parts = urlsplit(origin)
    name = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    trust = await trust_for(origin)
    if not trust.loopback and (proxy := proxy_for(parts.scheme, name)) is not None:
        return await _through(proxy, origin, trust.context)
    address = await _resolve(name, port)
    where = f"{name} ({address})" if name != address else name
    try:
        with anyio.fail_after(_SECONDS):
            stream = await anyio.connect_tcp(address, port)
    except TimeoutError:
        raise _unreachable(
            f"{where} does not answer on port {port} within {_SECONDS:.0f} s.",
            "A firewall drops the connection, or a VPN is needed to reach the workspace.",
        ) from None
    except OSError as error:
        raise _unreachable(
            f"{where} accepts no connection on port {port}: {_reason(error)}.",
            f"{_CHECK_HOST}, its port, and whether a VPN or a proxy is needed.",
        ) from error
    try:
        if not isinstance(trust.context, ssl.SSLContext):
            return f"{where} accepts connections"
        return f"{where} accepts connections, {await _encrypt(stream, name, trust.context)}"
    finally:
        with anyio.move_on_after(1, shield=True):
            await anyio.aclose_forcefully(stream)


def proxy_for(scheme: str, name: str) -> str | None:
    """Return the proxy that the environment (or the system) names for a host."""
    if proxy_bypass(name):
        return None
    proxies = getproxies()
    return proxies.get(scheme) or proxies.get("all") or None


async def _resolve(name: str, port: int) -> str:
    try:
        with anyio.fail_after(_SECONDS):
            found = await anyio.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise _unreachable(
            f"No name server answered for {name} within {_SECONDS:.0f} s.", "Check the network's DNS."
        ) from None
    except OSError as error:
        raise _unreachable(
            f"There is no host {name}: its name cannot be looked up ({error.strerror or type(error).__name__}).",
            f"{_CHECK_HOST}; a name that is only known inside a company's network needs its VPN.",
        ) from error
    return str(found[0][4][0])


async def _encrypt(stream: anyio.abc.SocketStream, name: str, context: ssl.SSLContext) -> str:
    try:
        with anyio.fail_after(_SECONDS):
            secure = await TLSStream.wrap(stream, hostname=name, ssl_context=context, standard_compatible=False)
        return str(secure.extra(TLSAttribute.tls_version))  # noqa: S610 - no Django here
    except ssl.SSLCertVerificationError as error:
        raise _unreachable(
            f"The certificate of {name} is not trusted: {error.verify_message}.",
            "A proxy that inspects TLS may be in the way: point SSL_CERT_FILE at its certificate authority.",
        ) from error
    except TimeoutError:
        raise _unreachable(
            f"{name} took the connection and did not answer the TLS handshake.",
            "Something in between blocks the connection: a firewall, or a proxy that is not configured.",
        ) from None
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        raise _unreachable(
            f"No TLS with {name}: {_reason(error) if isinstance(error, OSError) else 'it hung up'}.",
            f"{_CHECK_HOST} and its port: https is spoken on 443.",
        ) from error


async def _through(proxy: str, origin: str, context: ssl.SSLContext | bool) -> str:
    shown = _without_credentials(proxy)
    try:
        async with httpx.AsyncClient(verify=context, timeout=_SECONDS, trust_env=False, proxy=proxy) as client:
            await client.head(origin + "/")
    except httpx.ProxyError as error:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"The proxy {shown} of the environment does not connect us: {str(error)[:200] or 'no reason given'}.",
            "Give its credentials in HTTPS_PROXY, or exempt the workspace in NO_PROXY.",
        ) from error
    except httpx.HTTPError as error:
        raise _unreachable(
            f"No way to {origin} through the proxy {shown}: {str(error)[:200] or type(error).__name__}.",
            "Check HTTPS_PROXY, and whether the workspace belongs in NO_PROXY.",
        ) from error
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"The proxy {shown} of the environment cannot be used: {error}",
            "Correct HTTPS_PROXY (or ALL_PROXY): an http:// address and a port.",
        ) from error
    return f"reached through the proxy {shown}"


def examine_folder(folder: Path) -> str:
    """Check whether images can be written to the configured folder; no file is left behind. Blocks.

    Raises:
        BridgeError: ``invalid_argument``, naming the setting.
    """
    advice = "Set RESPONSES_MCP_IMAGE_DIR (or --image-dir) to a folder that you may write to."
    place = folder
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"{place} is a file, not a folder.", advice)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"{place} cannot be written to: {error.strerror}.", advice
        ) from error
    return f"{folder} can be written to" if place == folder else f"{folder} will be made when it is needed"


def _without_credentials(proxy: str) -> str:
    scheme, _, rest = proxy.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2]}"


def _reason(error: OSError) -> str:
    # A connection to one of several addresses fails for the reason of the last one.
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[-1]
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, ssl.SSLError):
        return (cause.reason or "TLS failed").replace("_", " ").lower()
    return (cause.strerror or str(cause) or type(cause).__name__) if isinstance(cause, OSError) else str(cause)


def _unreachable(message: str, hint: str) -> BridgeError:
    return BridgeError(ErrorCode.UPSTREAM_UNAVAILABLE, message, hint, retryable=True)
