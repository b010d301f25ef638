"""The workspace's models, combined from all listings that it has.

Every workspace has ``GET /api/2.0/serving-endpoints``. Two more listings say which APIs serve a model, where they
exist: ``…:foundation-models`` (undocumented) and the model services of Unity Catalog.
"""

import logging
from collections.abc import Mapping
from typing import Any

import anyio

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.workspace.catalog import (
    Catalog,
    GetJson,
    is_system_name,
    legacy_name_of,
    listed_objects,
)

logger = logging.getLogger(__name__)

VIA_GATEWAY = "via_gateway"
"""Marks an entry that only the gateway has."""
MODEL_SERVICE = "MODEL_SERVICE"
"""The ``endpoint_type`` of a model service that is not one of Databricks."""
CATALOG_NAME = "catalog_name"
"""Holds the name that the catalog lists for the model of an endpoint: ``system.ai.X`` for ``databricks-X``."""

_ENDPOINTS = "/api/2.0/serving-endpoints"
_FOUNDATION_MODELS = "/api/2.0/serving-endpoints:foundation-models"
_EXTRA_SECONDS = 10.0


class Discovery:
    """Requests all listings concurrently; an additional one that a workspace does not have is not requested again.

    Args:
        get_json: requests a path, with ``params``; raises `BridgeError`.
        catalog: lists the model services.
    """

    def __init__(self, get_json: GetJson, catalog: Catalog) -> None:
        self._get_json = get_json
        self._catalog = catalog
        self._has_foundation_models = True

    async def listing(self) -> Any:
        """Return the answer of the first listing, with the data of the others added to its entries.

        ``endpoints`` also has the models that only the catalog has; ``services`` are all models of the catalog,
        including those that an endpoint serves; ``problems`` are sentences about failed listings.

        Raises:
            BridgeError: if the request for the first listing fails.
        """
        found: dict[str, Mapping[str, Any]] = {}
        models: list[Mapping[str, Any]] = []
        problems: list[str] = []
        failure: BridgeError | None = None
        payload: Any = None

        async def list_services() -> None:
            services = await self._catalog.list("model-services")
            found.update(services.entries)
            problems.extend(services.problems)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._foundation_models, models)
            tasks.start_soon(list_services)
            try:
                payload = await self._get_json(_ENDPOINTS)
            except BridgeError as error:
                failure = error.with_traceback(None)
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if not isinstance(payload, Mapping):
            return payload
        services = [service_entry(name, entry) for name, entry in found.items()]
        endpoints = _merged(payload.get("endpoints"), models, services)
        return {**payload, "endpoints": endpoints, "services": services, "problems": problems}

    async def service(self, name: str) -> Mapping[str, Any] | None:
        """Return one model service, as `listing` has it; None if the workspace does not show it.

        Raises:
            BridgeError: if the request fails.
        """
        entry = await self._catalog.get("model-services", name)
        return None if entry is None else service_entry(name, entry)

    async def _foundation_models(self, found: list[Mapping[str, Any]]) -> None:
        if not self._has_foundation_models:
            return
        with anyio.move_on_after(_EXTRA_SECONDS):
            try:
                found.extend(listed_objects(await self._get_json(_FOUNDATION_MODELS)))
            except BridgeError as error:
                logger.debug("%s is not answered: %s", _FOUNDATION_MODELS, error)
                if error.status is not None and 400 <= error.status < 500 and error.status not in (401, 408, 429):
                    self._has_foundation_models = False


def service_entry(name: str, service: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model service in the form of an entry of ``serving-endpoints``."""
    comment = service.get("comment")
    return {
        "name": name,
        "description": comment if isinstance(comment, str) else "",
        "endpoint_type": "FOUNDATION_MODEL_API" if is_system_name(name) else MODEL_SERVICE,
        "api_types": sorted(_api_types(service)),
        "state": {"ready": "READY"},
        VIA_GATEWAY: True,
    }


def _merged(endpoints: Any, models: list[Mapping[str, Any]], services: list[dict[str, Any]]) -> list[Any]:
    if not isinstance(endpoints, list):
        endpoints = []
    kinds: dict[str, set[str]] = {}
    for entry in (*models, *services):
        name = _name(entry)
        if name and (listed := _api_types(entry)):
            kinds.setdefault(legacy_name_of(name) or name, set()).update(listed)
    names = {_endpoint_name(entry) for entry in endpoints}
    catalog_names = {legacy: one["name"] for one in services if (legacy := legacy_name_of(one["name"]))}
    known = [_with_catalog(entry, kinds, catalog_names) for entry in endpoints]
    only_in_catalog = (one for one in services if not names & {one["name"], legacy_name_of(one["name"])})
    return [*known, *only_in_catalog]


def _with_catalog(entry: Any, kinds: Mapping[str, set[str]], catalog_names: Mapping[str, str]) -> Any:
    """Return an endpoint's entry with the API types and the name that the other listings have for its model."""
    name = _endpoint_name(entry)
    found: dict[str, Any] = {}
    if name in kinds:
        found["api_types"] = sorted(kinds[name])
    if name in catalog_names:
        found[CATALOG_NAME] = catalog_names[name]
    return {**entry, **found} if found else entry


def _endpoint_name(entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) else ""


def _name(entry: Mapping[str, Any]) -> str:
    for key in ("full_name", "name", "id"):
        if isinstance(name := entry.get(key), str) and name:
            return name
    return ""


def _api_types(value: Any) -> set[str]:
    """Return every API type that an entry names, at any place."""
    if isinstance(value, Mapping):
        found: set[str] = set()
        for key, inner in value.items():
            if key in ("api_types", "supported_api_types") and isinstance(inner, list):
                found |= {item for item in inner if isinstance(item, str)}
            else:
                found |= _api_types(inner)
        return found
    return set().union(*map(_api_types, value)) if isinstance(value, list) else set()
