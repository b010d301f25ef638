"""Unity Catalog: names of three parts, and the services of models and of MCP that its schemas list.

Sources: ``GET /api/2.1/unity-catalog/{kind}?parent=schemas/{catalog}.{schema}`` and ``…/{kind}/{full name}``, as the
Databricks SDK has them.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import anyio

from databricks_responses_mcp.errors import BridgeError

logger = logging.getLogger(__name__)

SYSTEM_SCHEMA = "system.ai"
"""The schema that contains the models of Databricks in every workspace."""

MAX_PAGES = 20
"""The maximum number of pages that are read for one schema."""
_PAGE_SIZE = "200"
_PATIENCE_SECONDS = 10.0
_LEGACY = "databricks-"
_PART = r"[^\s./\\%?#:@]{1,255}"
_NAME = re.compile(rf"{_PART}\.{_PART}\.{_PART}")
_SCHEMA = re.compile(rf"{_PART}\.{_PART}")

ServiceKind = Literal["model-services", "mcp-services"]
GetJson = Callable[..., Awaitable[Any]]


def is_catalog_name(name: str) -> bool:
    """Return whether a name is one of the catalog: ``catalog.schema.name``, without characters that would change a
    path.
    """
    return name.isprintable() and _NAME.fullmatch(name) is not None


def is_schema_name(name: str) -> bool:
    """Return whether a text names a schema: ``catalog.schema``."""
    return name.isprintable() and _SCHEMA.fullmatch(name) is not None


def is_system_name(name: str) -> bool:
    """Return whether a name is one of the models or servers that Databricks itself offers in the catalog."""
    return name.lower().startswith(f"{SYSTEM_SCHEMA}.")


def catalog_name_of(name: str) -> str | None:
    """Return the gateway's name for a legacy name: ``system.ai.X`` for ``databricks-X``; None for others."""
    bare = name.removeprefix(_LEGACY)
    renamed = f"{SYSTEM_SCHEMA}.{bare}"
    return renamed if bare != name and is_catalog_name(renamed) else None


def legacy_name_of(name: str) -> str | None:
    """Return the legacy name that a name of ``system.ai`` replaces; None for others."""
    return f"{_LEGACY}{name.removeprefix(f'{SYSTEM_SCHEMA}.')}" if is_system_name(name) else None


@dataclass(frozen=True, slots=True)
class Services:
    """The services in the catalog.

    Attributes:
        entries: the workspace's entries, by full name.
        problems: a sentence for each configured schema that could not be listed completely.
    """

    entries: dict[str, Mapping[str, Any]]
    problems: tuple[str, ...] = ()


class Catalog:
    """Lists the services of all schemas concurrently.

    Args:
        get_json: requests a path of the workspace, with ``params``; raises `BridgeError`.
        schemas: the schemas to list besides `SYSTEM_SCHEMA`.
    """

    def __init__(self, get_json: GetJson, schemas: Sequence[str] = ()) -> None:
        self._get_json = get_json
        self._schemas = tuple(dict.fromkeys((SYSTEM_SCHEMA, *schemas)))
        self._without: set[ServiceKind] = set()

    async def list(self, kind: ServiceKind) -> Services:
        """Return the services of every schema. Never raises: a failed listing is a problem, or ignored for
        `SYSTEM_SCHEMA`.

        If a workspace does not have the listing of `SYSTEM_SCHEMA`, it is not requested again.
        """
        found: dict[str, dict[str, Mapping[str, Any]]] = {}
        problems: dict[str, str] = {}

        async def one(schema: str) -> None:
            entries: dict[str, Mapping[str, Any]] = {}
            found[schema] = entries
            with anyio.move_on_after(_PATIENCE_SECONDS) as scope:
                try:
                    if not await self._read(kind, schema, entries):
                        problems[schema] = f"More than {MAX_PAGES} pages of {kind} in {schema}: the rest is not listed."
                except BridgeError as error:
                    logger.debug("%s of %s are not listed: %s", kind, schema, error)
                    problems[schema] = f"The {kind} of {schema} could not be listed: {error.message}"
                    if schema == SYSTEM_SCHEMA and _is_permanent(error):
                        self._without.add(kind)
            if scope.cancelled_caught:
                problems[schema] = f"The {kind} of {schema} were not listed within {_PATIENCE_SECONDS:g} s."

        async with anyio.create_task_group() as tasks:
            for schema in self._schemas:
                if schema != SYSTEM_SCHEMA or kind not in self._without:
                    tasks.start_soon(one, schema)
        merged = {name: entry for schema in self._schemas for name, entry in found.get(schema, {}).items()}
        # A workspace without system.ai is not a problem that the user could fix.
        told = tuple(problems[schema] for schema in self._schemas if schema in problems and schema != SYSTEM_SCHEMA)
        return Services(merged, told)

    async def get(self, kind: ServiceKind, name: str) -> Mapping[str, Any] | None:
        """Return one service; None if the workspace does not show it.

        Raises:
            BridgeError: if the request fails.
        """
        if not is_catalog_name(name):
            return None
        try:
            entry = await self._get_json(f"/api/2.1/unity-catalog/{kind}/{quote(name, safe='')}")
        except BridgeError as error:
            if _is_permanent(error):
                return None
            raise
        return entry if isinstance(entry, Mapping) else None

    async def _read(self, kind: ServiceKind, schema: str, entries: dict[str, Mapping[str, Any]]) -> bool:
        """Read the pages of one schema into ``entries``; return whether that was the complete list."""
        token = ""
        for _ in range(MAX_PAGES):
            params = {"parent": f"schemas/{schema}", "page_size": _PAGE_SIZE}
            page = await self._get_json(
                f"/api/2.1/unity-catalog/{kind}", params={**params, **({"page_token": token} if token else {})}
            )
            for entry in listed_objects(page):
                name = service_name(entry, kind)
                # Whatever the answer contains, only names of the requested schema are accepted.
                if is_catalog_name(name) and name.startswith(f"{schema}."):
                    entries.setdefault(name, entry)
            token = str(page.get("next_page_token") or "") if isinstance(page, Mapping) else ""
            if not token:
                return True
        return False


def service_name(entry: Mapping[str, Any], kind: ServiceKind) -> str:
    """Return the full name of a listed service; empty if it has none."""
    for key in ("full_name", "name", "id"):
        if isinstance(name := entry.get(key), str) and name:
            return name.removeprefix(f"{kind}/")
    return ""


def _is_permanent(error: BridgeError) -> bool:
    """Return whether another request would get the same answer."""
    return error.status is not None and 400 <= error.status < 500 and error.status not in (401, 408, 429)


def listed_objects(payload: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of the list in a listing, whatever its key is."""
    lists = [payload] if isinstance(payload, list) else payload.values() if isinstance(payload, Mapping) else ()
    for value in lists:
        if isinstance(value, list):
            yield from (entry for entry in value if isinstance(entry, Mapping))
