"""The workspace's address: what people paste, converted to an origin, or an error that says why it is invalid."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from databricks_responses_mcp.errors import BridgeError, ErrorCode

EXAMPLES = (
    "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com (AWS), "
    "https://adb-1234567890123456.7.azuredatabricks.net (Azure) or "
    "https://1234567890123456.7.gcp.databricks.com (Google Cloud)"
)
_HINT = f"Set DATABRICKS_HOST to the address in the browser's bar when the workspace is open: {EXAMPLES}."

# What people copy along with an address of their own domain. On Databricks' domains any path is dropped.
_KNOWN_PATHS = ("serving-endpoints", "ai-gateway", "api", "ml", "oidc", "login.html")
DATABRICKS_DOMAINS = (
    ".databricks.com",
    ".databricks.us",
    ".databricks.mil",
    ".azuredatabricks.net",
    ".databricks.azure.us",
    ".databricks.azure.cn",
)
_ACCOUNT_HOST = re.compile(
    r"^accounts(-[a-z]+)?\.(cloud\.databricks\.(com|us|mil)|azuredatabricks\.(net|us|cn)|gcp\.databricks\.com)$"
)
_LABEL = re.compile(r"^(?!-)[a-z0-9_-]{1,63}(?<!-)$", re.IGNORECASE)
_QUOTES = "\"'`<>\u201c\u201d\u2018\u2019"  # straight quotes, and the curly ones of word processors


@dataclass(frozen=True, slots=True)
class WorkspaceHost:
    """The address of a workspace.

    Attributes:
        origin: scheme, name and port, without a slash at the end.
        workspace_id: the id that an address shared by several workspaces needs (``?o=`` in the browser), if given.
    """

    origin: str
    workspace_id: str | None = None


def normalise_host(raw: str) -> WorkspaceHost:
    """Return the origin of a configured address: a bare name, a copied browser address, a URL with an API path.

    Plain http is accepted for loopback only.

    Raises:
        BridgeError: ``not_configured``, with the problem and the format of a workspace's address.
    """
    text = raw.strip().strip(_QUOTES).strip()
    if not text:
        raise _wrong("The workspace's address is empty.")
    if re.search(r"\$\{|\$\(|\{\{|%[A-Za-z_]+%|^\$[A-Za-z_]", text):
        raise _wrong(
            "The workspace's address is a placeholder that was never filled in.",
            "The MCP host passed it on literally: write the address itself in its configuration, e.g. "
            + EXAMPLES
            + ".",
        )
    if re.fullmatch(r"\d+", text):
        raise _wrong("The workspace's address is only a number; that looks like a workspace id.")
    if re.match(r"^(dapi|dkea|dose|eyJ)[A-Za-z0-9_.-]{16,}$", text):
        # Not repeated in the error: it is a token in the wrong place.
        raise _wrong("The workspace's address contains what looks like a token.")
    url = text if "://" in text else "https://" + text.removeprefix("//")
    try:
        parts = urlsplit(url)
        port = parts.port
        name = (parts.hostname or "").rstrip(".")
    except ValueError:
        raise _wrong("The workspace's address is not a URL.") from None
    if "@" in parts.netloc:
        raise _wrong("The workspace's address carries a user name or token before an @.")
    _check_name(name, parts.scheme.lower())
    _check_path(name, parts.path)
    return WorkspaceHost(
        origin=_origin(parts.scheme.lower(), name, port),
        workspace_id=_workspace_id(parts.query, parts.fragment),
    )


def is_loopback(name: str) -> bool:
    """Return whether a host name or address means this machine. Names below ``localhost`` may mean another one."""
    if name in ("localhost", "127.0.0.1", "::1"):
        return True  # the usual ones, without parsing
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _check_name(name: str, scheme: str) -> None:
    if scheme not in ("https", "http"):
        raise _wrong(f"The workspace's address starts with {scheme[:20]}://, not https://.")
    loopback = is_loopback(name)
    if not loopback and not _is_domain_or_address(name):
        raise _wrong("The workspace's address is not a URL with a full host name.")
    if scheme == "http" and not loopback:
        raise _wrong(
            f"The workspace's address http://{name} is not encrypted.",
            f"Use https://{name}; plain http is for this machine only.",
        )
    if _ACCOUNT_HOST.match(name):
        raise _wrong(f"{name} is the account console, not a workspace: it serves no models.")
    if name.endswith(".databricksapps.com"):
        raise _wrong(f"{name} is a Databricks App, not a workspace.")
    if name.split(".")[0] in ("docs", "www", "community", "learn", "login", "signup") or name == "databricks.com":
        raise _wrong(f"{name} is a website, not a workspace.")


def _is_domain_or_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        return len(labels) > 1 and len(name) <= 253 and all(_LABEL.match(label) for label in labels)
    return True


def _origin(scheme: str, name: str, port: int | None) -> str:
    shown = f"[{name}]" if ":" in name else name
    default = 443 if scheme == "https" else 80
    return f"{scheme}://{shown}" + (f":{port}" if port not in (None, default) else "")


def _check_path(name: str, path: str) -> None:
    first = path.strip("/").split("/")[0]
    if first and first not in _KNOWN_PATHS and not name.endswith(DATABRICKS_DOMAINS):
        # A path prefix of a proxy is not supported: Databricks' own clients drop it too, and would send requests to the
        # wrong place.
        raise _wrong(f"The workspace's address has a path, /{first[:40]}, that no workspace has.")


def _workspace_id(query: str, fragment: str) -> str | None:
    # Older pages of the workspace have their state, and so the id, behind the hash.
    for text in (query, fragment.partition("?")[2]):
        for value in parse_qs(text).get("o", []):
            if re.fullmatch(r"\d{1,32}", value):
                return value
    return None


def _wrong(message: str, hint: str = _HINT) -> BridgeError:
    return BridgeError(ErrorCode.NOT_CONFIGURED, message, hint)
