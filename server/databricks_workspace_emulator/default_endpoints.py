"""The endpoints of a new embedded workspace: one of each kind that a real one may have."""

from databricks_workspace_emulator.catalogue import (
    CHAT_API,
    GEMINI_API,
    NATIVE_CHAT_API,
    OPEN_API,
    RESPONSES_API,
    Endpoint,
    ModelService,
)

_CURSOR_API = "cursor/v1/chat/completions"
_VENDOR_APIS = {"anthropic": ("anthropic/v1/messages",), "google": (GEMINI_API,)}


def _gpt(version: str, title: str, *, custom: bool = False, chat: bool = True) -> Endpoint:
    name = f"gpt-{version}"
    return Endpoint(
        name=f"databricks-{name}",
        kind="foundation",
        provider="openai",
        model=name,
        display_name=title,
        api_types=(RESPONSES_API, OPEN_API, CHAT_API, NATIVE_CHAT_API) if chat else (RESPONSES_API, _CURSOR_API),
        custom_tools=custom,
    )


def _open(
    name: str,
    provider: str,
    title: str,
    *,
    ready: bool = True,
    sees: bool = False,
    reasons: bool = True,
    chat_only: bool = False,
) -> Endpoint:
    unified = (CHAT_API,) if chat_only else (OPEN_API, CHAT_API)
    return Endpoint(
        name=f"databricks-{name}",
        kind="foundation",
        provider=provider,
        model=name,
        display_name=title,
        api_types=(*_VENDOR_APIS.get(provider, ()), *unified),
        ready=ready,
        sees=sees,
        reasons=reasons,
    )


_MODELS = (
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
    *(_gpt(f"5-6-{size}", f"GPT-5.6 {size.capitalize()}", custom=True) for size in ("sol", "terra", "luna")),
    *(_gpt(f"6-{size}", f"GPT-6 {size.capitalize()}", custom=True) for size in ("astra", "sol", "luna")),
    _gpt("6-1-sol", "GPT-6.1 Sol", custom=True),
    _open("claude-sonnet-4-5", "anthropic", "Claude Sonnet 4.5", sees=True),
    _open("meta-llama-3-3-70b-instruct", "meta", "Meta Llama 3.3 70B Instruct", reasons=False),
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
)
_EXTERNAL = (
    Endpoint("my-openai-external", "external", "openai", "gpt-5", "External GPT-5", custom_tools=True),
    Endpoint(
        "my-anthropic-external", "external", "amazon-bedrock", "claude-sonnet-4-5", "External", api_types=(CHAT_API,)
    ),
)
_AGENTS = (
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
_MORE_MODELS = (
    _open("claude-opus-5", "anthropic", "Claude Opus 5", sees=True),
    _open("claude-fable-5-1", "anthropic", "Claude Fable 5.1", sees=True),
    _open("gemini-3-1-pro", "google", "Gemini 3.1 Pro", sees=True),
    _open("gemini-3-8-flash", "google", "Gemini 3.8 Flash", sees=True),
    _open("glm-5-3", "zai", "GLM 5.3"),
    _open("kimi-k3", "moonshot", "Kimi K3"),
    _open("gemini-3-1-flash-image", "google", "Gemini 3.1 Flash Image", sees=True, reasons=False, chat_only=True),
    _open("qwen3-next-80b-a3b-instruct", "alibaba", "Qwen3 Next 80B A3B Instruct", reasons=False),
    _open("meta-llama-3-1-8b-instruct", "meta", "Meta Llama 3.1 8B Instruct", reasons=False, chat_only=True),
    # Its vendor is not OpenAI, but the native path serves it.
    Endpoint(
        name="databricks-grok-4-7",
        kind="foundation",
        provider="xai",
        model="grok-4-7",
        display_name="Grok 4.7",
        api_types=(RESPONSES_API, OPEN_API, CHAT_API),
        without_tools=("apply_patch", "custom", "image_generation", "shell"),
    ),
    Endpoint(
        name="my-azure-openai-external",
        kind="external",
        provider="openai",
        model="gpt-5-2",
        display_name="GPT-5.2 of Azure OpenAI",
        custom_tools=True,
        without_tools=("web_search",),
    ),
)
_MORE_AGENTS = (
    Endpoint(
        name="my-supervisor-agent",
        kind="agent",
        provider="databricks",
        model="supervisor_agent",
        display_name="Multi-agent supervisor",
        task="agent/v1/responses",
        api_types=(RESPONSES_API,),
        style="supervisor",
    ),
    Endpoint(
        name="my-chat-agent",
        kind="agent",
        provider="databricks",
        model="chat_agent",
        display_name="Agent of the ChatAgent kind",
        task="agent/v2/chat",
        api_types=(CHAT_API,),
    ),
    Endpoint(
        name="my-old-chat-agent",
        kind="agent",
        provider="databricks",
        model="old_chat_agent",
        display_name="Agent of the first kind",
        task="agent/v1/chat",
        api_types=(CHAT_API,),
    ),
)


def default_catalogue() -> dict[str, Endpoint]:
    """Return the endpoints of a new embedded workspace, by name."""
    every = (*_MODELS, *_EXTERNAL, *_AGENTS, *_MORE_MODELS, *_MORE_AGENTS)
    return {endpoint.name: endpoint for endpoint in every}


def default_apps() -> dict[str, Endpoint]:
    """Return the agents that a new embedded workspace runs as Databricks Apps, by name."""
    agent = Endpoint("my-agent", "agent", "databricks", "my_agent", "An app", "agent/v1/responses", (RESPONSES_API,))
    return {agent.name: agent}


def default_services() -> dict[str, ModelService]:
    """Return the user-created model services of a new embedded workspace, by name."""
    services = (
        ModelService(
            name="production.ai.frontier-model",
            comment="GPT-5.1, or GPT-5 when it is not up",
            destinations=(("databricks-gpt-5-1", 1),),
            fallbacks=("databricks-gpt-5",),
        ),
        ModelService(
            name="production.ai.writer",
            comment="Claude and Llama, three requests to one",
            destinations=(("databricks-claude-sonnet-4-5", 3), ("databricks-meta-llama-3-3-70b-instruct", 1)),
        ),
        ModelService(
            name="research.models.draft",
            comment="GPT-5 mini",
            destinations=(("databricks-gpt-5-mini", 1),),
        ),
    )
    return {service.name: service for service in services}


def retired_models() -> set[str]:
    """Return names of pay-per-token models that Databricks has retired."""
    return {
        "databricks-claude-3-7-sonnet",
        "databricks-claude-sonnet-4",
        "databricks-gemini-2-5-flash",
        "databricks-gemini-2-5-pro",
        "databricks-gemini-3-pro",
        "databricks-gpt-5-1-codex-max",
        "databricks-gpt-5-1-codex-mini",
        "databricks-gpt-5-2-codex",
    }


def default_mcp_services() -> dict[str, str]:
    """Return the MCP services of a new embedded workspace, with their comments, by name."""
    return {
        "system.ai.dbsql": "Runs SQL on a warehouse",
        "system.ai.genie_one_mcp": "Asks Genie",
        "system.ai.github": "Reads and writes in GitHub",
        "system.ai.sandbox": "Runs Python, SQL and shell commands",
        "system.ai.web_search": "Searches the web",
        "production.ai.tickets": "The support team's tickets",
    }
