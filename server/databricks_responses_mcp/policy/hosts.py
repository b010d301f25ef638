"""Patterns of hosts and of URLs: compared part by part, so that a wildcard cannot reach into another part."""

import ipaddress
import posixpath
import re
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")
"""Characters that the two standards of international host names (IDNA) encode in different ways."""
_PORTS = {"https": 443, "http": 80}


class UnclearURLError(ValueError):
    """A URL that two programs might read in different ways."""


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host that a URL leads to, in ASCII and lower case, and its port.

    Raises:
        UnclearURLError: if the URL has a user name, no host, or a host that is not a plain name or IP address.
    """
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise UnclearURLError
    try:
        parts = urlsplit(url)
        host, default_port = parts.hostname, _PORTS[parts.scheme.lower()]
        port = default_port if parts.port is None else parts.port
    except (ValueError, KeyError) as error:
        raise UnclearURLError from error
    if not host or "@" in parts.netloc or "%" in parts.netloc:
        raise UnclearURLError
    return _ascii_host(host), port


def host_matches(pattern: str, host: str, port: int, *, default_port: int = 443) -> bool:
    """Return whether a pattern matches the host and port.

    ``*.example.com`` means every name below ``example.com``, not that name itself; ``*`` means every host. Without a
    port a pattern means the default one; ``:*`` means every port. An IP address is only meant by itself and by ``*``.
    """
    name, port_pattern = _split_port(pattern)
    if not fnmatchcase(str(port), port_pattern or str(default_port)):
        return False
    if name == "*":
        return True
    if _is_address(host):
        return name.strip("[]").casefold() == host
    if name.startswith("*."):
        return host.endswith(f".{_pattern_host(name[2:])}")
    return host == _pattern_host(name)


def url_matches(pattern: str, url: str) -> bool:
    """Return whether a pattern such as ``https://*.example.com/mcp/*`` matches a URL; its query is not compared.

    Raises:
        UnclearURLError: for a URL that two programs might read in different ways.
    """
    host, port = host_and_port(url)
    parts = urlsplit(url)
    path = unquote(parts.path) or "/"
    if "%" in path or "\\" in path or posixpath.normpath(path).replace("//", "/") != (path.rstrip("/") or "/"):
        raise UnclearURLError
    host_pattern, _, path_pattern = pattern.removeprefix("https://").partition("/")
    if parts.scheme.lower() != "https" or not host_matches(host_pattern, host, port):
        return False
    return fnmatchcase(path, f"/{path_pattern or '*'}")


def _split_port(pattern: str) -> tuple[str, str]:
    name, colon, port = pattern.rpartition(":")
    is_port = colon and (port == "*" or port.isdecimal()) and (":" not in name or name.endswith("]"))
    return (name, port) if is_port else (pattern, "")


def _pattern_host(name: str) -> str:
    try:
        return _ascii_host(name)
    except UnclearURLError:
        return name.casefold()


def _ascii_host(host: str) -> str:
    name = host.strip("[]").rstrip(".").lower()
    if _is_address(name):
        return str(ipaddress.ip_address(name))
    if _DEVIATIONS & set(name):
        raise UnclearURLError
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise UnclearURLError from error
    if not re.fullmatch(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", ascii_name):
        raise UnclearURLError
    return ascii_name


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
