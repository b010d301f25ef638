"""Which surfaces serve an endpoint, what it can do, and how sure that is: from what the workspace says, else its name.

Source: the marks of Databricks' listings (``task``, ``api_types``, external providers). Nothing here is a list of
models, and no judgement stops a call.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from databricks_responses_mcp.workspace.surfaces.surface import SurfaceKey

ModelClass = Literal["native", "open", "agent", "chat", "other"]
Confidence = Literal["listed", "named", "guessed"]
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
_IN_GATEWAY: dict[SurfaceKey, SurfaceKey] = {
    "responses": "gateway",
    "open-responses": "gateway-chat",
    "chat": "gateway-chat",
}
_NOT_TEXT = re.compile(r"embedding|rerank|audio|llm/v1/completions|llm/v1/image", re.IGNORECASE)
# gpt-5, gpt-5-1-codex, gpt-6-1-sol; not gpt-oss-120b, which is an open model.
_GPT = re.compile(r"(?:^|[-._/])gpt-(\d{1,2})(?:[-.](\d{1,2})(?![\dkb]))?(?![\dkb])", re.IGNORECASE)
_SEES = re.compile(r"(?:^|[-._/])(?:claude|gemini|llama-?4|gemma-?3|qwen\d*-?vl|pixtral|grok)", re.IGNORECASE)
_SMALL = re.compile(r"-(?:mini|nano|codex|oss)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of an endpoint.

    Attributes:
        names: the endpoint's name and those of what it serves, parted by spaces.
        is_ours: whether Databricks runs the model and bills it by the token, or by throughput.
        is_external: whether the endpoint forwards to a provider.
        is_only_in_catalog: whether the gateway alone knows it.
        api_types: as the workspace lists them; empty where it does not.
    """

    names: str
    task: str = ""
    provider: str = ""
    is_ours: bool = False
    is_external: bool = False
    is_only_in_catalog: bool = False
    api_types: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How an endpoint is reached and what it can do.

    Attributes:
        surfaces: that serve it, the best first; at least one.
        reason: why we think so, half a sentence.
        can: the capabilities that it has, as far as is known.
        cannot: those that it surely has not.
    """

    model_class: ModelClass
    surfaces: tuple[SurfaceKey, ...]
    reason: str
    confidence: Confidence
    can: frozenset[Capability] = field(default_factory=frozenset)
    cannot: frozenset[Capability] = field(default_factory=frozenset)


def judge(signs: Signs) -> Judgement:
    """Judge an endpoint by its signs."""
    model_class, surfaces, reason, confidence = _way(signs)
    if signs.is_only_in_catalog:
        surfaces = tuple(dict.fromkeys(_IN_GATEWAY[surface] for surface in surfaces if surface in _IN_GATEWAY))
        surfaces = surfaces or ("gateway",)
    can, cannot = _abilities(signs, model_class)
    return Judgement(
        model_class=model_class, surfaces=surfaces, reason=reason, confidence=confidence, can=can, cannot=cannot
    )


def judge_name(name: str) -> Judgement:
    """Judge an endpoint that no listing has."""
    lower = name.lower()
    if lower.startswith("system.ai."):
        # A name of the catalog: the gateway knows it, model serving may not.
        surfaces: tuple[SurfaceKey, ...] = ("gateway-chat", "gateway")
        model_class: ModelClass = "open"
        if _GPT.search(name):
            surfaces, model_class = ("gateway", "gateway-chat"), "native"
        can, cannot = _abilities(Signs(names=name, is_ours=True), model_class)
        return Judgement(
            model_class=model_class,
            surfaces=surfaces,
            reason="a name of the catalog, which the gateway serves",
            confidence="guessed",
            can=can,
            cannot=cannot,
        )
    judged = judge(Signs(names=name, is_ours=lower.startswith(_SYSTEM_PREFIXES)))
    if judged.model_class == "chat":
        return Judgement(
            model_class="native", surfaces=("responses", "chat"), reason="nothing is known of it", confidence="guessed"
        )
    return judged


def gpt_version(name: str) -> tuple[int, int] | None:
    """The version in an OpenAI GPT's name: ``databricks-gpt-5-1-codex`` is ``(5, 1)``. None for other models."""
    found = _GPT.search(name)
    if found is None:
        return None
    major, minor = int(found[1]), int(found[2] or 0)
    # Azure writes gpt-35-turbo for 3.5.
    return (major // 10, major % 10) if major >= 30 else (major, minor)


def _way(signs: Signs) -> tuple[ModelClass, tuple[SurfaceKey, ...], str, Confidence]:
    agent = _agent_way(signs.task)
    if agent is not None:
        return "agent", agent, f"its task is {signs.task}", "listed"
    if signs.task == "llm/v1/responses":
        return "native", ("responses",), "its task is the Responses API", "listed"
    if _NOT_TEXT.search(signs.task):
        return "other", ("responses",), f"its task is {signs.task}", "listed"
    if signs.api_types:
        return _listed_way(signs.api_types)
    if signs.is_external:
        return _external_way(signs.provider.lower())
    if signs.is_ours:
        if _GPT.search(signs.names):
            return "native", ("responses", "chat"), "an OpenAI GPT that Databricks serves, by its name", "named"
        return "open", ("open-responses", "chat"), "a model that Databricks serves, not OpenAI's by its name", "named"
    if signs.task == "llm/v1/chat":
        return "chat", ("chat", "invocations"), "a custom model whose task is chat", "listed"
    return "chat", ("invocations", "chat"), "a custom model; the workspace does not say what it speaks", "guessed"


def _agent_way(task: str) -> tuple[SurfaceKey, ...] | None:
    if not task.startswith("agent/"):
        return None
    if task.endswith("/responses"):
        return "agent", "agent-invocations"
    return ("agent-chat", "invocations") if task.endswith("v2/chat") else ("agent-chat", "chat")


def _listed_way(api_types: Collection[str]) -> tuple[ModelClass, tuple[SurfaceKey, ...], str, Confidence]:
    chats = not _CHAT_APIS.isdisjoint(api_types)
    if _RESPONSES_API in api_types:
        surfaces: tuple[SurfaceKey, ...] = ("responses", "chat") if chats else ("responses",)
        return "native", surfaces, "the workspace lists the Responses API among its API types", "listed"
    if chats or any(kind.startswith(("anthropic/", "gemini/")) for kind in api_types):
        return "open", ("open-responses", "chat"), "the workspace lists other API types than Responses", "listed"
    return "other", ("responses",), f"its API types are {', '.join(sorted(api_types))}", "listed"


def _external_way(provider: str) -> tuple[ModelClass, tuple[SurfaceKey, ...], str, Confidence]:
    if provider in _OPENAI_PROVIDERS:
        return "native", ("responses", "chat"), "an external model of OpenAI or Azure OpenAI", "listed"
    if provider in ("", "custom", "databricks-model-serving"):
        return "chat", ("chat", "responses"), "an external model of a provider that may be any", "guessed"
    return "chat", ("chat", "invocations"), f"an external model of {provider}, which has no Responses API", "listed"


def _abilities(signs: Signs, model_class: ModelClass) -> tuple[frozenset[Capability], frozenset[Capability]]:
    if model_class == "other":
        return frozenset(), frozenset(CAPABILITIES)
    can: set[Capability] = {"text"}
    cannot: set[Capability] = set()
    version = gpt_version(signs.names)
    is_openai = version is not None or signs.provider.lower() in _OPENAI_PROVIDERS
    if (version is not None and version >= (4, 0)) or _SEES.search(signs.names):
        can.add("images")
    if model_class in ("open", "chat", "agent"):
        cannot |= {"image_generation", "web_search", "custom_tools"}
        if model_class == "agent":
            cannot -= {"image_generation", "web_search"}
        else:
            can.add("structured_output")
        return frozenset(can), frozenset(cannot)
    can.add("structured_output")
    if is_openai:
        coding = "codex" in signs.names.lower()
        if not coding:
            can.add("image_generation")
        if not signs.is_external:
            can.add("web_search")
        if signs.is_external or (version is not None and version >= (5, 0) and not _SMALL.search(signs.names)):
            can.add("custom_tools")
    return frozenset(can), frozenset(cannot)
