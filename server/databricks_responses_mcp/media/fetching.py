"""Fetching files from the web without giving access to the private network (SSRF).

Imported at the first use: it imports httpx.
"""

import ipaddress
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

import anyio
import anyio.to_thread
import certifi
import httpx

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import in_units, shown
from databricks_responses_mcp.visible import visible

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Resolves host name and port to IP addresses; raises OSError if there are none."""

CheckURL = Callable[[str], None]
"""Raises `BridgeError` for a URL that may not be fetched; it is asked about each redirect, too."""

MAX_REDIRECTS = 3
DEADLINE_SECONDS = 30.0
_CONNECT_SECONDS = 8.0
_MAX_ADDRESSES = 4
_ELSEWHERE = "Download it and give its path."

_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3",
        "168.63.129.16/32",  # Azure's in-host agent: a public address with a private service
    )
)  # fmt: skip
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The fetched bytes, and a file name from the URL."""

    data: bytes
    name: str


def is_public(address: str) -> bool:
    """Return whether an IP address is on the open internet: not private, loopback, link-local, multicast or reserved.

    IPv6 addresses that contain an IPv4 one (mapped, 6to4, Teredo) are refused; the well-known NAT64 prefix, by which
    IPv6-only networks reach the IPv4 internet, is as public as the address in it.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _SPECIAL_V4)
    if ip in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip in _GLOBAL_V6 and not any(ip in network for network in _SPECIAL_V6)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host from the system's resolver."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def fetch(
    url: str,
    *,
    max_bytes: int,
    accept: str = "*/*",
    allow_private: bool = False,
    check_url: CheckURL | None = None,
    resolver: Resolver = resolve,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Fetched:
    """Fetch a URL by GET: https only, public addresses only, at most three redirects, each checked like the first.

    The connection is made to the checked address, so a name whose address changes gains nothing. No proxy, cookie,
    credential or environment setting is used. ``allow_private`` also allows plain http.
    ``check_url`` is asked before a host's name is resolved.

    Raises:
        BridgeError: ``invalid_argument``, ``permission_denied`` (a private address), ``not_found``, ``too_large``,
            ``timeout``, ``upstream_unavailable`` or ``upstream_error``.
    """
    try:
        with anyio.fail_after(deadline_seconds):
            current = _parsed(url, url)
            for _ in range(MAX_REDIRECTS + 1):
                _check_scheme(current, url, allow_private)
                if check_url is not None:
                    check_url(f"{current.scheme}://{current.netloc.decode('ascii')}{current.path}")
                addresses = await _checked_addresses(current, url, allow_private, resolver)
                answer = await _get(current, addresses, url, max_bytes, accept)
                if isinstance(answer, bytes):
                    return Fetched(answer, _file_name(current))
                current = _parsed(answer, url, current)
    except TimeoutError as error:
        raise BridgeError(
            ErrorCode.TIMEOUT,
            f"{shown(url)} was not there within {deadline_seconds:g} seconds.",
            f"Try again. {_ELSEWHERE}",
            retryable=True,
        ) from error
    raise BridgeError(ErrorCode.UPSTREAM_ERROR, f"{shown(url)} redirects more than {MAX_REDIRECTS} times.", _ELSEWHERE)


def _parsed(text: str, asked: str, relative_to: httpx.URL | None = None) -> httpx.URL:
    try:
        url = relative_to.join(text) if relative_to else httpx.URL(text)
        if not url.host:
            raise ValueError("no host")
    except (httpx.InvalidURL, ValueError) as error:
        what = "redirects to an address that is" if relative_to else "is"
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"{shown(asked)} {what} not a valid URL.", "Check the address."
        ) from error
    if url.userinfo:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(asked)} has a user name or password in it, and files are fetched without credentials.",
            _ELSEWHERE,
        )
    return url


def _check_scheme(url: httpx.URL, asked: str, allow_private: bool) -> None:
    if url.scheme == "https" or (url.scheme == "http" and allow_private):
        return
    what = "is" if str(url) == asked else "redirects to"
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(asked)} {what} {visible(url.scheme[:20])}; files are fetched over https only.",
        f"Use its https address. {_ELSEWHERE}",
    )


async def _checked_addresses(url: httpx.URL, asked: str, allow_private: bool, resolver: Resolver) -> list[str]:
    host = url.raw_host.decode("ascii")
    try:
        addresses = await resolver(host, _port(url))
    except (OSError, UnicodeError) as error:
        temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise BridgeError(
            ErrorCode.UPSTREAM_UNAVAILABLE if temporary else ErrorCode.NOT_FOUND,
            f"The host of {shown(asked)} has no address.",
            "Check the spelling and the network.",
            retryable=temporary,
        ) from error
    # One private address among public ones already indicates a deceptive name.
    if not allow_private and not all(is_public(address) for address in addresses):
        raise BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"{shown(asked)} leads to a private network address, which is not fetched.",
            f"{_ELSEWHERE} RESPONSES_MCP_ALLOW_PRIVATE_URLS allows such addresses.",
        )
    return addresses[:_MAX_ADDRESSES]


async def _get(url: httpx.URL, addresses: list[str], asked: str, max_bytes: int, accept: str) -> bytes | str:
    """Return the body, or the URL of a redirect."""
    tls = await anyio.to_thread.run_sync(_tls, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    # The transport alone, not a client: no cookies, no environment, no automatic redirects.
    async with httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=httpx.Limits(max_connections=1)) as http:
        for address in addresses:
            try:
                response = await http.handle_async_request(_request(url, address, accept))
            except httpx.ConnectError as error:
                if _is_about_certificate(error):
                    raise BridgeError(
                        ErrorCode.UPSTREAM_ERROR,
                        f"{shown(asked)} is not fetched: the certificate of its server is not valid for it.",
                        _ELSEWHERE,
                    ) from error
                continue
            except (httpx.ConnectTimeout, httpx.PoolTimeout):
                continue
            except httpx.HTTPError as error:
                raise _broken(asked) from error
            try:
                return await _read(response, asked, max_bytes)
            except httpx.HTTPError as error:
                raise _broken(asked) from error
            finally:
                with anyio.move_on_after(2, shield=True):
                    await response.aclose()
    raise BridgeError(
        ErrorCode.UPSTREAM_UNAVAILABLE,
        f"{shown(asked)} cannot be connected to: no address of its host answers.",
        f"Try again. {_ELSEWHERE}",
        retryable=True,
    )


def _request(url: httpx.URL, address: str, accept: str) -> httpx.Request:
    headers = {
        "Host": url.netloc.decode("ascii"),
        "Accept": accept,
        "Accept-Encoding": "identity",
        "User-Agent": "databricks-responses-mcp",
    }
    timeout = httpx.Timeout(DEADLINE_SECONDS, connect=_CONNECT_SECONDS).as_dict()
    name = url.raw_host.decode("ascii").rstrip(".")
    return httpx.Request(
        "GET",
        url.copy_with(host=address.partition("%")[0], fragment=None),
        headers=headers,
        extensions={"sni_hostname": name, "timeout": timeout},
    )


async def _read(response: httpx.Response, asked: str, max_bytes: int) -> bytes | str:
    if response.status_code in (301, 302, 303, 307, 308) and "location" in response.headers:
        return response.headers["location"]
    if response.status_code != 200:
        raise _refused(response.status_code, asked)
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(asked, max_bytes, int(declared))
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("identity", ""):
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR, f"{shown(asked)} was compressed without being requested.", _ELSEWHERE
        )
    body = bytearray()
    async for chunk in response.aiter_raw(64 * 1024):
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(asked, max_bytes, None)
    return bytes(body)


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


@cache
def _tls(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    """Return a context with the system's authorities and certifi's; cached by the variables that OpenSSL reads."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _file_name(url: httpx.URL) -> str:
    return visible(unquote(url.path.rstrip("/").rpartition("/")[2]))[:100] or url.host


def _refused(status: int, asked: str) -> BridgeError:
    code, hint, retryable = ErrorCode.UPSTREAM_ERROR, _ELSEWHERE, False
    if status in (404, 410):
        code, hint = ErrorCode.NOT_FOUND, "Check the address."
    elif status in (401, 403):
        code = ErrorCode.PERMISSION_DENIED
    elif status == 429 or status >= 500:
        code, hint, retryable = ErrorCode.UPSTREAM_UNAVAILABLE, f"Try again later. {_ELSEWHERE}", True
    return BridgeError(code, f"{shown(asked)} was answered with HTTP {status}.", hint, retryable=retryable)


def _broken(asked: str) -> BridgeError:
    return BridgeError(
        ErrorCode.UPSTREAM_UNAVAILABLE,
        f"The transfer of {shown(asked)} broke off.",
        f"Try again. {_ELSEWHERE}",
        retryable=True,
    )


def _too_large(asked: str, max_bytes: int, size: int | None) -> BridgeError:
    has = f"has {in_units(size)}" if size is not None else "is too large"
    return BridgeError(
        ErrorCode.TOO_LARGE,
        f"{shown(asked)} {has}; {in_units(max_bytes)} can be fetched.",
        f"Use a smaller version of it, or the part that matters. {_ELSEWHERE}",
    )
