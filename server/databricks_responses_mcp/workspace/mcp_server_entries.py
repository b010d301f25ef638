"""The setting ``mcp_servers``: the MCP servers that calls may name, read and validated when the bridge starts.

It is a JSON object, or the path of a file with one. Each name has an object with ``url``, ``authorization``,
``headers``, ``allowed_tools``, ``require_approval`` and ``description``. Secrets should be references to environment
variables, ``${NAME}``. An entry without ``url`` configures the Databricks server of that short name.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from databricks_responses_mcp.workspace.host import is_loopback
from databricks_responses_mcp.workspace.managed_mcp import managed_kind, managed_label

REFERENCE = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"
_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class McpServerEntry:
    """One configured server.

    Attributes:
        url: its URL; None for a server of the workspace.
        authorization: its bearer token, with references ``${NAME}`` that are not resolved yet.
        headers: additional headers, likewise.
        allowed_tools: the only tools that the model may use; None for all.
        require_approval: ``always``, ``never``, or the tools for each.
        description: a description for the model.
    """

    url: str | None = None
    authorization: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allowed_tools: tuple[str, ...] | None = None
    require_approval: str | Mapping[str, Any] = "always"
    description: str | None = None


def text_of_setting(value: str) -> str:
    """Return the JSON of the setting, or the content of the file that it names.

    Raises:
        ValueError: says why there is none.
    """
    if value.lstrip().startswith("{"):
        return value
    # A host starts the server in a directory of its own choice, so a relative path is not reliable.
    try:
        path = Path(value.strip()).expanduser()
        if not path.is_absolute():
            raise ValueError("neither a JSON object nor the absolute path of a file with one")
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("the file is over 1 MB")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, RuntimeError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ValueError(f"the file cannot be read ({reason})") from error


def read_entries(text: str) -> dict[str, McpServerEntry]:
    """Return the servers in the setting's JSON, by name.

    Raises:
        ValueError: names each wrong place, never a value, which may be a secret.
    """
    try:
        servers = json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as error:
        raise ValueError(f"{str(error)[:100]!r} is there twice in one object") from None
    except (ValueError, RecursionError) as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"it is not JSON{place}") from None
    if not isinstance(servers, dict):
        raise ValueError("it is not a JSON object of servers by name")
    problems = [f"{name[:100]}{problem}" for name, entry in servers.items() for problem in _problems(name, entry)]
    if problems:
        raise ValueError("; ".join(problems[:5]))
    return {name: _entry(entry) for name, entry in servers.items()}


def _entry(given: Mapping[str, Any]) -> McpServerEntry:
    known = {key: value for key, value in given.items() if value is not None}
    if "allowed_tools" in known:
        known["allowed_tools"] = tuple(known["allowed_tools"])
    return McpServerEntry(**known)


def _problems(name: str, entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield ": it must be an object with url"
        return
    yield from _name_problems(name, entry)
    for key, value in entry.items():
        check = _CHECKS.get(key)
        if check is None:
            yield f".{key[:100]}: unknown field; the fields are {', '.join(_CHECKS)}"
        elif value is not None and (problem := check(value)):
            yield f".{key}{problem}"


def _name_problems(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    kind = managed_kind(name) or managed_kind(name.partition("__")[0])
    if entry.get("url") is None:
        if managed_label(name) is None:
            yield ".url: a server has one"
        elif set(entry) & {"authorization", "headers"}:
            yield ": a server of the workspace is signed in to as the bridge is, without authorization or headers"
    elif kind is not None:
        yield f": {kind} means a server of the workspace; choose another name for this one"
    elif not re.fullmatch(_NAME, name):
        yield ": a name is a letter and then up to 63 letters, digits, _ or -"


def _check_url(value: Any) -> str:
    if not isinstance(value, str):
        return ": it must be a URL"
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return ": this is not a URL"
    if not host or parts.scheme not in ("https", "http") or not re.fullmatch(r"[\x21-\x7e]+", value):
        return ": it must be an https:// URL"
    if "@" in parts.netloc or "${" in value:
        return ": secrets go into authorization or headers, not into the URL"
    return "" if parts.scheme == "https" or is_loopback(host) else ": it must be https://; plain http is not encrypted"


def _check_secret(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        return ": it must be a text of one line, such as ${MY_TOKEN}"
    return ": ${ is not followed by the NAME} of a variable" if "${" in re.sub(REFERENCE, "", value) else ""


def _check_headers(value: Any) -> str:
    if not isinstance(value, dict):
        return ": it must be an object of texts"
    for key, text in value.items():
        if not re.fullmatch(_HEADER, key):
            return f": {key[:100]!r} is no header's name"
        if problem := _check_secret(text):
            return f".{key}{problem}"
    return ""


def _check_names(value: Any) -> str:
    sound = isinstance(value, list) and value and all(isinstance(name, str) and name for name in value)
    return "" if sound else ": it must be a list of tools' names"


def _check_approval(value: Any) -> str:
    if value in ("always", "never"):
        return ""
    if not isinstance(value, dict) or not value or set(value) - {"always", "never"}:
        return ': it must be "always", "never", or {"always": {"tool_names": […]}, "never": {"tool_names": […]}}'
    for key, rule in value.items():
        if not isinstance(rule, dict) or set(rule) != {"tool_names"}:
            return f'.{key}: it must be {{"tool_names": […]}}'
        if problem := _check_names(rule["tool_names"]):
            return f".{key}.tool_names{problem}"
    return ""


def _check_text(value: Any) -> str:
    return "" if isinstance(value, str) else ": it must be a text"


# Each returns the place and the problem of a value, as in ``.name: it must be a text``; empty if it is valid.
_CHECKS: Mapping[str, Callable[[Any], str]] = {
    "url": _check_url,
    "authorization": _check_secret,
    "headers": _check_headers,
    "allowed_tools": _check_names,
    "require_approval": _check_approval,
    "description": _check_text,
}


class _TwiceError(Exception):
    """A key that occurs twice in an object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(key)
        found[key] = value
    return found
