"""The serving endpoints of the embedded workspace, and their entries in listings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["foundation", "external", "agent"]
AgentStyle = Literal["plain", "supervisor"]
RESPONSES_API = "openai/v1/responses"
OPEN_API = "mlflow/v1/responses"
CHAT_API = "mlflow/v1/chat/completions"
NATIVE_CHAT_API = "openai/v1/chat/completions"
GEMINI_API = "gemini/v1/generateContent"

_CREATED = 1_757_000_000_000  # milliseconds, as in the listing


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A serving endpoint.

    Attributes:
        name: its name in a request's ``model``.
        kind: pay-per-token foundation model, external model, or agent.
        provider: the vendor of the model, in the listing's terms.
        model: the vendor's own name of the model.
        display_name: for people.
        task: the listing's task.
        api_types: the surfaces that serve it.
        custom_tools: whether it accepts ``custom`` tools.
        ready: whether it is ready.
        sees: whether it accepts images.
        reasons: whether it supports reasoning.
        without_tools: types of hosted tools that it refuses.
        style: the answer format of an agent of the Responses kind.
    """

    name: str
    kind: Kind
    provider: str
    model: str
    display_name: str
    task: str = "llm/v1/chat"
    api_types: tuple[str, ...] = (RESPONSES_API, CHAT_API)
    custom_tools: bool = False
    ready: bool = True
    sees: bool = True
    reasons: bool = True
    without_tools: tuple[str, ...] = ()
    style: AgentStyle = "plain"

    @property
    def pay_per_token(self) -> bool:
        """Whether the pay-per-token limits apply."""
        return self.kind == "foundation"

    @property
    def service_name(self) -> str:
        """The model's name in Unity Catalog, ``system.ai.…``, which the gateway accepts."""
        return f"system.ai.{self.model}"

    @property
    def chats_without_tools(self) -> bool:
        """Whether chat completions refuse tools for it: GPT from 5.4 on."""
        version = re.match(r"gpt-(\d+)(?:-(\d+))?\b", self.model) if self.provider == "openai" else None
        return version is not None and (int(version[1]), int(version[2] or 0)) >= (5, 4)

    def listing(self) -> dict[str, Any]:
        """Return the endpoint as in ``GET /api/2.0/serving-endpoints``."""
        entry: dict[str, Any] = {
            "name": self.name,
            "creation_timestamp": _CREATED,
            "last_updated_timestamp": _CREATED,
            "state": {
                "ready": "READY" if self.ready else "NOT_READY",
                "config_update": "NOT_UPDATING" if self.ready else "IN_PROGRESS",
            },
            "config": {"served_entities": [self._served_entity()]},
            "tags": [{"key": "environment", "value": "embedded"}],
            "task": self.task,
        }
        if self.kind == "foundation":
            entry["endpoint_type"] = "FOUNDATION_MODEL_API"
            entry["tags"] = []
        else:
            entry["id"] = self.name.encode().hex()[:32]
            entry["creator"] = "someone@example.com"
        return entry

    def details(self) -> dict[str, Any]:
        """Return the endpoint as in ``GET /api/2.0/serving-endpoints/{name}``."""
        return self.listing() | {
            "permission_level": "CAN_QUERY",
            "route_optimized": False,
            "capabilities": {"function_calling": self.task == "llm/v1/chat"},
        }

    def service(self) -> dict[str, Any]:
        """Return the model as in ``GET /api/2.1/unity-catalog/model-services``."""
        return {
            "name": f"model-services/{self.service_name}",
            "comment": self.display_name,
            "owner": "System user",
            "supported_api_types": list(self.api_types),
        }

    def _served_entity(self) -> dict[str, Any]:
        if self.kind == "foundation":
            return {
                "name": self.name,
                "entity_name": self.service_name,
                "entity_version": "1",
                "foundation_model": {
                    "name": self.service_name,
                    "display_name": self.display_name,
                    "description": f"{self.display_name}, as the embedded workspace plays it.",
                    "docs": "https://docs.databricks.com/machine-learning/foundation-model-apis/supported-models",
                    "ai_gateway_v2_supported": True,
                    "api_types": list(self.api_types),
                },
            }
        if self.kind == "external":
            return {
                "name": self.model,
                "external_model": {"name": self.model, "provider": self.provider, "task": self.task},
            }
        return {
            "name": self.model,
            "entity_name": f"main.agents.{self.model}",
            "entity_version": "3",
            "workload_size": "Small",
            "scale_to_zero_enabled": True,
        }


@dataclass(frozen=True, slots=True)
class ModelService:
    """A model service of Unity Catalog that a user created.

    Attributes:
        name: ``catalog.schema.name``.
        comment: for people.
        destinations: names of endpoints, each with its share of the traffic, a whole number.
        fallbacks: names of endpoints that answer, in this order, if the destination is not ready.
    """

    name: str
    comment: str
    destinations: tuple[tuple[str, int], ...]
    fallbacks: tuple[str, ...] = ()

    def route(self, number: int) -> tuple[str, ...]:
        """Return the endpoints to try for the request of that number, from 0: its destination, then the fallbacks."""
        turns = [name for name, share in self.destinations for _ in range(share)]
        return (turns[number % len(turns)], *self.fallbacks)

    def service(self, endpoints: Mapping[str, Endpoint]) -> dict[str, Any]:
        """Return the service as in ``GET /api/2.1/unity-catalog/model-services`` (``view=BASIC``)."""
        return {
            "name": f"model-services/{self.name}",
            "comment": self.comment,
            "effective_owner": "someone@example.com",
            "supported_api_types": list(self.api_types(endpoints)),
        }

    def api_types(self, endpoints: Mapping[str, Endpoint]) -> tuple[str, ...]:
        """Return the API types that every destination and fallback serves."""
        behind = [endpoints[name].api_types for name, _ in self.destinations if name in endpoints]
        behind += [endpoints[name].api_types for name in self.fallbacks if name in endpoints]
        return tuple(kind for kind in behind[0] if all(kind in kinds for kinds in behind)) if behind else ()
