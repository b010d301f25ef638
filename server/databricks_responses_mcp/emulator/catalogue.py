"""The serving endpoints of the embedded workspace and how its listing shows them."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["foundation", "external", "agent"]
RESPONSES_API = "openai/v1/responses"
CHAT_API = "mlflow/v1/chat/completions"

_CREATED = 1_757_000_000_000  # milliseconds, as the listing has it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A serving endpoint.

    Attributes:
        name: what a request names as ``model``.
        kind: pay-per-token foundation model, external model, or agent.
        provider: who makes the model, in the listing's terms.
        model: the vendor's own name of it.
        display_name: for people.
        task: the listing's task.
        api_types: which surfaces serve it.
        custom_tools: whether it takes ``custom`` tools.
        ready: whether it is up.
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

    @property
    def pay_per_token(self) -> bool:
        """Whether the pay-per-token limits apply."""
        return self.kind == "foundation"

    def listing(self) -> dict[str, Any]:
        """The endpoint as ``GET /api/2.0/serving-endpoints`` shows it."""
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
        """The endpoint as ``GET /api/2.0/serving-endpoints/{name}`` shows it."""
        return self.listing() | {
            "permission_level": "CAN_QUERY",
            "route_optimized": False,
            "capabilities": {"function_calling": self.task == "llm/v1/chat"},
        }

    def _served_entity(self) -> dict[str, Any]:
        if self.kind == "foundation":
            return {
                "name": self.name,
                "entity_name": f"system.ai.{self.model}",
                "entity_version": "1",
                "foundation_model": {
                    "name": f"system.ai.{self.model}",
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


def _gpt(version: str, title: str, *, custom: bool = False, chat: bool = True) -> Endpoint:
    name = f"gpt-{version}"
    return Endpoint(
        name=f"databricks-{name}",
        kind="foundation",
        provider="openai",
        model=name,
        display_name=title,
        api_types=(RESPONSES_API, CHAT_API) if chat else (RESPONSES_API,),
        custom_tools=custom,
    )


def _open(name: str, provider: str, title: str, *, ready: bool = True) -> Endpoint:
    return Endpoint(
        name=f"databricks-{name}",
        kind="foundation",
        provider=provider,
        model=name,
        display_name=title,
        api_types=(CHAT_API,),
        ready=ready,
    )


_ENDPOINTS = (
    _gpt("5", "GPT-5", custom=True),
    _gpt("5-mini", "GPT-5 mini"),
    _gpt("5-nano", "GPT-5 nano"),
    _gpt("5-1", "GPT-5.1", custom=True),
    _gpt("5-2", "GPT-5.2", custom=True),
    _gpt("5-3-codex", "GPT-5.3 Codex", chat=False),
    _gpt("5-4", "GPT-5.4", custom=True),
    _gpt("5-4-mini", "GPT-5.4 mini"),
    _gpt("5-5", "GPT-5.5", custom=True),
    _gpt("5-5-pro", "GPT-5.5 Pro", custom=True, chat=False),
    _open("claude-sonnet-4-5", "anthropic", "Claude Sonnet 4.5"),
    _open("meta-llama-3-3-70b-instruct", "meta", "Meta Llama 3.3 70B Instruct"),
    _open("gpt-oss-120b", "openai-oss", "GPT OSS 120B"),
    _open("gpt-oss-20b", "openai-oss", "GPT OSS 20B", ready=False),
    Endpoint(
        name="databricks-gte-large-en",
        kind="foundation",
        provider="alibaba",
        model="gte-large-en",
        display_name="GTE Large (English)",
        task="llm/v1/embeddings",
        api_types=("mlflow/v1/embeddings",),
    ),
    Endpoint("my-openai-external", "external", "openai", "gpt-5", "External GPT-5", custom_tools=True),
    Endpoint(
        "my-anthropic-external", "external", "amazon-bedrock", "claude-sonnet-4-5", "External", api_types=(CHAT_API,)
    ),
    Endpoint(
        name="my-support-agent",
        kind="agent",
        provider="databricks",
        model="support_agent",
        display_name="Support agent",
        task="agent/v1/responses",
        api_types=(RESPONSES_API,),
    ),
)


def default_catalogue() -> dict[str, Endpoint]:
    """The endpoints of a new embedded workspace, by name."""
    return {endpoint.name: endpoint for endpoint in _ENDPOINTS}
