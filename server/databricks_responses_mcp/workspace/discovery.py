"""What the workspace says of its models, put together from every listing that it answers.

``GET /api/2.0/serving-endpoints`` is the one that every workspace has. Two more say which APIs serve a model, where
they answer: ``…:foundation-models`` (undocumented) and the model services of Unity Catalog.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import anyio

from databricks_responses_mcp.errors import BridgeError

logger = logging.getLogger(__name__)

VIA_GATEWAY = "via_gateway"
"""Marks an entry that only the gateway knows."""

_ENDPOINTS = "/api/2.0/serving-endpoints"
_FOUNDATION_MODELS = "/api/2.0/serving-endpoints:foundation-models"
_MODEL_SERVICES = "/api/2.1/unity-catalog/model-services"
_EXTRA_SECONDS = 10.0
_MOST_PAGES = 20
_CATALOG = "system.ai."
_SERVED = "databricks-"

GetJson = Callable[..., Awaitable[Any]]


class Discovery:
    """Asks all listings at once; one of the further two that a workspace has not is not asked for again.

    Args:
        get_json: asks for a path, with ``params``; raises `BridgeError`.
    """

    def __init__(self, get_json: GetJson) -> None:
        self._get_json = get_json
        self._without: set[str] = set()

    async def listing(self) -> Any:
        """The answer of the first listing, with what the others say of its entries and the entries that they add.

        Raises:
            BridgeError: if the first listing cannot be had.
        """
        found: dict[str, list[Mapping[str, Any]]] = {}
        failure: BridgeError | None = None
        payload: Any = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._extra, _FOUNDATION_MODELS, self._foundation_models, found)
            tasks.start_soon(self._extra, _MODEL_SERVICES, self._model_services, found)
            try:
                payload = await self._get_json(_ENDPOINTS)
            except BridgeError as error:
                failure = error
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if not isinstance(payload, Mapping):
            return payload
        return {**payload, "endpoints": _merged(payload.get("endpoints"), found)}

    async def _extra(
        self,
        path: str,
        read: Callable[[], Awaitable[list[Mapping[str, Any]]]],
        found: dict[str, list[Mapping[str, Any]]],
    ) -> None:
        if path in self._without:
            return
        with anyio.move_on_after(_EXTRA_SECONDS):
            try:
                found[path] = await read()
            except BridgeError as error:
                logger.debug("%s is not answered: %s", path, error)
                if error.status is not None and 400 <= error.status < 500 and error.status not in (401, 408, 429):
                    self._without.add(path)

    async def _foundation_models(self) -> list[Mapping[str, Any]]:
        return list(_entries(await self._get_json(_FOUNDATION_MODELS)))

    async def _model_services(self) -> list[Mapping[str, Any]]:
        services: list[Mapping[str, Any]] = []
        token = ""
        for _ in range(_MOST_PAGES):
            params = {"parent": "schemas/system.ai", "page_size": "200", **({"page_token": token} if token else {})}
            page = await self._get_json(_MODEL_SERVICES, params=params)
            services += _entries(page)
            token = str(page.get("next_page_token") or "") if isinstance(page, Mapping) else ""
            if not token:
                break
        return services


def _entries(payload: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of the list in a listing, whatever it calls it."""
    lists = [payload] if isinstance(payload, list) else payload.values() if isinstance(payload, Mapping) else ()
    for value in lists:
        if isinstance(value, list):
            yield from (entry for entry in value if isinstance(entry, Mapping))


def _merged(endpoints: Any, found: Mapping[str, list[Mapping[str, Any]]]) -> Any:
    if not isinstance(endpoints, list):
        endpoints = []
    kinds: dict[str, set[str]] = {}
    for entries in found.values():
        for entry in entries:
            name = _name(entry)
            if name and (listed := _api_types(entry)):
                kinds.setdefault(_served_name(name), set()).update(listed)
    names = {_endpoint_name(entry) for entry in endpoints}
    known = [
        {**entry, "api_types": sorted(kinds[_endpoint_name(entry)])} if _endpoint_name(entry) in kinds else entry
        for entry in endpoints
    ]
    return [*known, *_only_in_catalog(found.get(_MODEL_SERVICES, []), names)]


def _only_in_catalog(services: list[Mapping[str, Any]], names: set[Any]) -> Iterator[dict[str, Any]]:
    for service in services:
        name = _name(service)
        if name.startswith(_CATALOG) and name not in names and _served_name(name) not in names:
            yield {
                "name": name,
                "endpoint_type": "FOUNDATION_MODEL_API",
                "api_types": sorted(_api_types(service)),
                "state": {"ready": "READY"},
                VIA_GATEWAY: True,
            }


def _endpoint_name(entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) else ""


def _name(entry: Mapping[str, Any]) -> str:
    for key in ("full_name", "name", "id"):
        if isinstance(name := entry.get(key), str) and name:
            return name.removeprefix("model-services/")
    return ""


def _served_name(name: str) -> str:
    """The serving endpoint that a name of the catalog stands for."""
    return f"{_SERVED}{name.removeprefix(_CATALOG)}" if name.startswith(_CATALOG) else name


def _api_types(value: Any) -> set[str]:
    """Every API type that an entry names, wherever in it."""
    if isinstance(value, Mapping):
        found: set[str] = set()
        for key, inner in value.items():
            if key in ("api_types", "supported_api_types") and isinstance(inner, list):
                found |= {item for item in inner if isinstance(item, str)}
            else:
                found |= _api_types(inner)
        return found
    return set().union(*map(_api_types, value)) if isinstance(value, list) else set()
