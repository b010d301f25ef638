"""The surfaces that serve an endpoint, its capabilities, and how certain they are: by the listing, else by its name.

Source: the fields of Databricks' listings (``task``, ``api_types``, external providers). There is no list of models
here, and no profile prevents a call.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from databricks_responses_mcp.workspace.catalog import is_catalog_name, is_system_name
from databricks_responses_mcp.workspace.surfaces.surface import SurfaceKey

ModelClass = Literal["native", "open", "agent", "chat", "other"]
Confidence = Literal["listed", "named", "guessed"]
Answer = Literal["yes", "no", "unknown"]
Capability = Literal["text", "images", "image_generation", "web_search", "custom_tools", "structured_output"]
CAPABILITIES: tuple[Capability, ...] = (
    "text",
    "images",
    "image_generation",
    "web_search",
    "custom_tools",
    "structured_output",
)

_RESPONSES_API = "openai/v1/responses"
_CHAT_APIS = frozenset({"mlflow/v1/chat/completions", "openai/v1/chat/completions"})
_OPENAI_PROVIDERS = frozenset({"openai", "azure-openai", "azure_openai"})
_SYSTEM_PREFIXES = ("databricks-", "system.ai.")
_UNIFIED_RESPONSES_API = "mlflow/v1/responses"
_NOT_TEXT = re.compile(r"embedding|rerank|audio|llm/v1/completions|llm/v1/image", re.IGNORECASE)
# gpt-5, gpt-5-1-codex, gpt-6-1-sol; not gpt-oss-120b, which is an open model.
_GPT = re.compile(r"(?:^|[-._/])gpt-(\d{1,2})(?:[-.](\d{1,2})(?![\dkb]))?(?![\dkb])", re.IGNORECASE)
_SEES = re.compile(r"(?:^|[-._/])(?:claude|gemini|llama-?4|gemma-?3|qwen\d*-?vl|pixtral|grok)", re.IGNORECASE)
# The Gemini models that generate images: gemini-3-pro-image, gemini-3-1-flash-image.
_DRAWS = re.compile(r"(?:^|[-._/ ])gemini-[\w.-]*image", re.IGNORECASE)
_SMALL = re.compile(r"-(?:mini|nano|codex|oss)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFacts:
    """The known facts about an endpoint.

    Attributes:
        names: the names of the endpoint and of what it serves, separated by spaces.
        is_ours: whether Databricks runs the model and bills it by token or by throughput.
        is_external: whether the endpoint forwards to a provider.
        is_only_in_catalog: whether only the gateway has it.
        api_types: as in the workspace's listing; empty if not stated.
    """

    names: str
    task: str = ""
    provider: str = ""
    is_ours: bool = False
    is_external: bool = False
    is_only_in_catalog: bool = False
    api_types: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """The surfaces and the capabilities of an endpoint.

    Attributes:
        surfaces: the surfaces that serve it, the best first; at least one.
        reason: the evidence, as half a sentence.
        can: its known capabilities.
        cannot: capabilities that it lacks, or that its surfaces cannot request.
    """

    model_class: ModelClass
    surfaces: tuple[SurfaceKey, ...]
    reason: str
    confidence: Confidence
    can: frozenset[Capability] = field(default_factory=frozenset)
    cannot: frozenset[Capability] = field(default_factory=frozenset)

    @property
    def is_askable(self) -> bool:
        """Whether it answers with text, as the endpoints that are listed, completed and checked as models."""
        return self.model_class != "other"

    def has(self, capability: Capability) -> Answer:
        """Return whether it has a capability: yes, no or unknown."""
        if capability in self.can:
            return "yes"
        return "no" if capability in self.cannot else "unknown"


def profile_of(facts: EndpointFacts) -> ModelProfile:
    """Return the profile of an endpoint from the known facts."""
    model_class, surfaces, reason, confidence = _reach_by_gateway(facts) if facts.is_only_in_catalog else _reach(facts)
    can, cannot = _abilities(facts, model_class)
    if model_class == "open" and _DRAWS.search(facts.names):
        surfaces, can, cannot = ("gemini", *surfaces), can | {"image_generation"}, cannot - {"image_generation"}
    return ModelProfile(
        model_class=model_class, surfaces=surfaces, reason=reason, confidence=confidence, can=can, cannot=cannot
    )


def profile_of_name(name: str) -> ModelProfile:
    """Return the profile of an endpoint that is in no listing, from its name."""
    if is_catalog_name(name):
        return profile_of(EndpointFacts(names=name, is_ours=is_system_name(name), is_only_in_catalog=True))
    profile = profile_of(EndpointFacts(names=name, is_ours=name.lower().startswith(_SYSTEM_PREFIXES)))
    if profile.model_class == "chat":
        return ModelProfile(
            model_class="native", surfaces=("responses", "chat"), reason="nothing is known of it", confidence="guessed"
        )
    return profile


def gpt_version(name: str) -> tuple[int, int] | None:
    """Return the version in an OpenAI GPT's name: ``databricks-gpt-5-1-codex`` is ``(5, 1)``. None for other models."""
    found = _GPT.search(name)
    if found is None:
        return None
    major, minor = int(found[1]), int(found[2] or 0)
    # Azure writes gpt-35-turbo for 3.5.
    return (major // 10, major % 10) if major >= 30 else (major, minor)


def _reach(facts: EndpointFacts) -> tuple[ModelClass, tuple[SurfaceKey, ...], str, Confidence]:
    agent = _agent_surfaces(facts.task)
    if agent is not None:
        return "agent", agent, f"its task is {facts.task}", "listed"
    if facts.task == "llm/v1/responses":
        return "native", ("responses",), "its task is the Responses API", "listed"
    if _NOT_TEXT.search(facts.task):
        return "other", ("responses",), f"its task is {facts.task}", "listed"
    if facts.api_types:
        return _listed_surfaces(facts.api_types)
    if facts.is_external:
        return _external_surfaces(facts.provider.lower())
    if facts.is_ours:
        if _GPT.search(facts.names):
            return "native", ("responses", "chat"), "an OpenAI GPT that Databricks serves, by its name", "named"
        return "open", ("open-responses", "chat"), "a model that Databricks serves, not OpenAI's by its name", "named"
    if facts.task == "llm/v1/chat":
        return "chat", ("chat", "invocations"), "a custom model whose task is chat", "listed"
    return (
        "chat",
        ("invocations", "chat"),
        "a custom model; the workspace does not say which API it supports",
        "guessed",
    )


def _reach_by_gateway(facts: EndpointFacts) -> tuple[ModelClass, tuple[SurfaceKey, ...], str, Confidence]:
    """Return how the gateway serves a model of the catalog.

    The gateway also serves ``mlflow/v1/responses`` for most models. Reports about it differ, and it requires a preview:
    it is used only for a model without other API types.
    """
    kinds = facts.api_types
    chats = not _CHAT_APIS.isdisjoint(kinds) or any(kind.startswith(("anthropic/", "gemini/")) for kind in kinds)
    if _RESPONSES_API in kinds:
        surfaces: tuple[SurfaceKey, ...] = ("gateway", "gateway-chat") if chats else ("gateway",)
        return "native", surfaces, "the catalog lists the Responses API among its API types", "listed"
    if chats:
        return "open", ("gateway-chat",), "the catalog lists other API types than Responses", "listed"
    if _UNIFIED_RESPONSES_API in kinds:
        return "open", ("supervisor",), "the catalog lists the unified Responses API alone", "listed"
    if kinds:
        return "other", ("gateway-chat",), f"its API types are {', '.join(sorted(kinds))}", "listed"
    reason = "a name of the catalog, which the gateway serves"
    if _GPT.search(facts.names) or not facts.is_ours:
        return "native", ("gateway", "gateway-chat"), reason, "guessed"
    return "open", ("gateway-chat", "gateway"), reason, "guessed"


def _agent_surfaces(task: str) -> tuple[SurfaceKey, ...] | None:
    if not task.startswith("agent/"):
        return None
    if task.endswith("/responses"):
        return "agent", "agent-invocations"
    return ("agent-chat", "invocations") if task.endswith("v2/chat") else ("agent-chat", "chat")


def _listed_surfaces(api_types: Collection[str]) -> tuple[ModelClass, tuple[SurfaceKey, ...], str, Confidence]:
    chats = not _CHAT_APIS.isdisjoint(api_types)
    if _RESPONSES_API in api_types:
        surfaces: tuple[SurfaceKey, ...] = ("responses", "chat") if chats else ("responses",)
        return "native", surfaces, "the workspace lists the Responses API among its API types", "listed"
    if set(api_types) <= _CHAT_APIS:
        # Open Responses serves most of them, but no listing says so: a request shows whether it does.
        return "open", ("open-responses", "chat"), "the workspace lists Chat Completions alone", "guessed"
    if chats or any(kind.startswith(("anthropic/", "gemini/")) for kind in api_types):
        return "open", ("open-responses", "chat"), "the workspace lists other API types than Responses", "listed"
    return "other", ("responses",), f"its API types are {', '.join(sorted(api_types))}", "listed"


def _external_surfaces(provider: str) -> tuple[ModelClass, tuple[SurfaceKey, ...], str, Confidence]:
    if provider in _OPENAI_PROVIDERS:
        return "native", ("responses", "chat"), "an external model of OpenAI or Azure OpenAI", "listed"
    if provider in ("", "custom", "databricks-model-serving"):
        return "chat", ("chat", "responses"), "an external model of a provider that may be any", "guessed"
    return "chat", ("chat", "invocations"), f"an external model of {provider}, which has no Responses API", "listed"


def _abilities(facts: EndpointFacts, model_class: ModelClass) -> tuple[frozenset[Capability], frozenset[Capability]]:
    if model_class == "other":
        return frozenset(), frozenset(CAPABILITIES)
    can: set[Capability] = {"text"}
    cannot: set[Capability] = set()
    version = gpt_version(facts.names)
    is_openai = version is not None or facts.provider.lower() in _OPENAI_PROVIDERS
    if (version is not None and version >= (4, 0)) or _SEES.search(facts.names):
        can.add("images")
    if model_class in ("open", "chat", "agent"):
        cannot |= {"image_generation", "web_search", "custom_tools"}
        if model_class != "agent":
            can.add("structured_output")
        return frozenset(can), frozenset(cannot)
    can.add("structured_output")
    if is_openai:
        coding = "codex" in facts.names.lower()
        if not coding:
            can.add("image_generation")
        if not facts.is_external:
            can.add("web_search")
        if facts.is_external or (version is not None and version >= (5, 0) and not _SMALL.search(facts.names)):
            can.add("custom_tools")
    return frozenset(can), frozenset(cannot)
