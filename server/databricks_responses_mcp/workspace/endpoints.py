"""Serving endpoints: reading the workspace's listing. `ModelProfile` says what an endpoint can do."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from databricks_responses_mcp.workspace.catalog import is_catalog_name, is_system_name
from databricks_responses_mcp.workspace.discovery import CATALOG_NAME, MODEL_SERVICE, VIA_GATEWAY
from databricks_responses_mcp.workspace.model_profile import EndpointFacts, ModelProfile, gpt_version, profile_of

Kind = Literal["pay_per_token", "provisioned", "external", "agent", "service", "custom"]

_API_TYPES = ("api_types", "supported_api_types")
_SYSTEM_PREFIXES = ("databricks-", "system.ai.")
_REASONING = re.compile(r"(?:^|[-._/])o[1-9](?![0-9a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A serving endpoint of the workspace.

    Attributes:
        name: its name in a request's ``model`` field.
        ready: whether it answers now.
        state: the state in the workspace's words, for example ``READY`` or ``NOT_READY, IN_PROGRESS``.
        task: for example ``llm/v1/chat`` or ``agent/v1/responses``; None if not stated.
        provider: the provider of an external model, for example ``openai``; None for others.
        kind: how it is run and billed; ``service`` is a model service of Unity Catalog that a user created.
        display_name: a name for people.
        description: one or two sentences, as the workspace has it; empty if there is none.
        profile: the surfaces that serve it and its capabilities.
        served: the names of the models behind it, as far as the workspace lists them.
        catalog_name: the name of its model in Unity Catalog, if that lists it: ``system.ai.X`` for ``databricks-X``.
    """

    name: str
    ready: bool
    state: str
    task: str | None
    provider: str | None
    kind: Kind
    display_name: str
    description: str
    profile: ModelProfile
    served: tuple[str, ...] = ()
    catalog_name: str | None = None

    def matches(self, text: str) -> bool:
        """Return whether one of its names contains a text, ignoring case."""
        return any(text.lower() in name.lower() for name in (self.name, self.catalog_name) if name)


def read_entries(entries: object) -> list[Endpoint]:
    """Read the list in ``GET /api/2.0/serving-endpoints``; only entries without a name are left out."""
    return [_endpoint(entry) for entry in entries if _text(entry, "name")] if isinstance(entries, list) else []


def looks_pay_per_token(name: str) -> bool:
    """Return whether the name alone shows that Databricks runs the model and bills by the token."""
    return name.lower().startswith(_SYSTEM_PREFIXES)


def wants_encrypted_reasoning(name: str) -> bool:
    """Return whether the name may be one of OpenAI's reasoning models: only they return reasoning to send again.

    The name of a model service that a user created says nothing about its model.
    """
    if is_catalog_name(name) and not is_system_name(name):
        return True
    version = gpt_version(name)
    return (version is not None and version >= (5, 0)) or _REASONING.search(name) is not None


def _endpoint(entry: Mapping[str, Any]) -> Endpoint:
    name = _text(entry, "name")
    entities = list(_entities(entry))
    task = _text(entry, "task") or next(
        (task for e in entities if (task := _text(_map(e, "external_model"), "task"))), ""
    )
    provider = next((p for e in entities if (p := _text(_map(e, "external_model"), "provider"))), "")
    served = [_text(e, "entity_name") or _text(_map(e, "foundation_model"), "name") for e in entities]
    kind = _kind(entry, name, task, entities)
    ready, state = _state(entry)
    foundation = next((_map(e, "foundation_model") for e in entities if _map(e, "foundation_model")), {})
    return Endpoint(
        name=name,
        ready=ready,
        state=state,
        task=task or None,
        provider=provider or None,
        kind=kind,
        display_name=_text(foundation, "display_name") or name,
        description=_text(entry, "description") or _text(foundation, "description"),
        profile=profile_of(
            EndpointFacts(
                names=" ".join((name, *served)).replace(" ", "/"),
                task=task,
                provider=provider,
                is_ours=kind in ("pay_per_token", "provisioned"),
                is_external=kind == "external",
                is_only_in_catalog=entry.get(VIA_GATEWAY) is True,
                api_types=_api_types(entry, entities),
            )
        ),
        served=tuple(filter(None, (*served, *(_text(_map(e, "external_model"), "name") for e in entities)))),
        catalog_name=_text(entry, CATALOG_NAME) or None,
    )


def _kind(entry: Mapping[str, Any], name: str, task: str, entities: list[Mapping[str, Any]]) -> Kind:
    if any(_map(entity, "external_model") for entity in entities):
        return "external"
    if task.startswith("agent/"):
        return "agent"
    if _text(entry, "endpoint_type") == MODEL_SERVICE:
        return "service"
    if _text(entry, "endpoint_type") == "FOUNDATION_MODEL_API":
        return "pay_per_token"
    if any(_provisioned(entity) for entity in entities):
        return "provisioned"
    if any(_map(entity, "foundation_model") for entity in entities) or looks_pay_per_token(name):
        return "pay_per_token"
    return "custom"


def _provisioned(entity: Mapping[str, Any]) -> bool:
    return any(
        entity.get(field) is not None
        for field in ("max_provisioned_throughput", "min_provisioned_throughput", "provisioned_model_units")
    )


def _state(entry: Mapping[str, Any]) -> tuple[bool, str]:
    state = entry.get("state")
    if isinstance(state, str):
        return state.upper() == "READY", state
    ready = _text(_map(entry, "state"), "ready")
    update = _text(_map(entry, "state"), "config_update")
    words = [word for word in (ready, update if update != "NOT_UPDATING" else "") if word]
    # Pay-per-token endpoints are always ready; some listings leave out their state.
    return ready in ("READY", ""), ", ".join(words) or "not told"


def _entities(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    config = _map(entry, "config")
    for field in ("served_entities", "served_models"):
        entities = config.get(field)
        if isinstance(entities, list) and entities:
            yield from (entity for entity in entities if isinstance(entity, Mapping))
            return


def _api_types(entry: Mapping[str, Any], entities: list[Mapping[str, Any]]) -> set[str]:
    """Return the API types of this listing, or of another one that was merged in."""
    places = [entry, *(_map(entity, "foundation_model") for entity in entities)]
    return {kind for place in places for key in _API_TYPES for kind in _strings(place.get(key))}


def _map(value: object, key: str) -> Mapping[str, Any]:
    inner = value.get(key) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _text(value: object, key: str) -> str:
    inner = value.get(key) if isinstance(value, Mapping) else None
    return inner.strip() if isinstance(inner, str) else ""


def _strings(value: object) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()
