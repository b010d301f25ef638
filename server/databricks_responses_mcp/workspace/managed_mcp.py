"""The MCP servers of a Databricks workspace: names, paths and labels.

Managed servers have short names (``genie/SPACE``); MCP services of Unity Catalog have names of three parts
(``system.ai.dbsql``).
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote

from databricks_responses_mcp.workspace.catalog import is_catalog_name

_PREFIX = "/api/2.0/mcp/"
_SERVICES = "mcp-services"
_MAX_LABEL = 64
# The minimum and maximum number of parts after each kind.
_PARTS: Mapping[str, tuple[int, int]] = {
    "genie": (0, 1),
    "functions": (2, 3),
    "ai-search": (3, 3),
    "vector-search": (3, 3),
    "sql": (0, 0),
    "external": (1, 1),
}
MANAGED_FORMS = (
    "genie",
    "genie/<space>",
    "functions/<catalog>/<schema>[/<function>]",
    "ai-search/<catalog>/<schema>/<index>",
    "sql",
    "external/<connection>",
    "<catalog>.<schema>.<service>, such as system.ai.dbsql",
)
"""The forms of names, for people. ``vector-search`` is the old name of ``ai-search``, and is accepted too."""


def managed_kind(name: str) -> str | None:
    """Return the kind of server that a name begins with, even if the rest of the name is wrong."""
    kind = name.partition("/")[0]
    return kind if kind in _PARTS or kind == _SERVICES else None


def managed_path(name: str) -> str | None:
    """Return the path of a server of the workspace; None if the name is not one."""
    if is_catalog_name(name):
        return f"/ai-gateway/{_SERVICES}/{quote(name, safe='')}"
    parts = _parts(name)
    return None if parts is None else _PREFIX + "/".join(quote(part, safe="") for part in parts)


def managed_label(name: str) -> str | None:
    """Return the label of the server for the model: a different one for each name; None if the name is not one."""
    parts = _parts(name)
    if parts is None:
        return None
    label = "__".join(parts)
    if len(label) <= _MAX_LABEL and all(re.fullmatch(r"[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*", part) for part in parts):
        return label
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", label)[: _MAX_LABEL - 11]
    return f"{readable}__{hashlib.sha256(name.encode()).hexdigest()[:9]}"


def _parts(name: str) -> list[str] | None:
    if is_catalog_name(name):
        return [_SERVICES, *name.split(".")]
    kind = name.partition("/")[0]
    if kind not in _PARTS:
        return None
    least, most = _PARTS[kind]
    parts = name.split("/")
    sound = all(part and part == part.strip() and part.isprintable() and part not in (".", "..") for part in parts)
    return parts if sound and least <= len(parts) - 1 <= most else None
