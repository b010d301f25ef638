from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.workspace.endpoints import Endpoint, read_entries
from databricks_responses_mcp.workspace.model_profile import CAPABILITIES, ModelProfile, gpt_version


def served(name: str, entity: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": name, "state": {"ready": "READY"}, "config": {"served_entities": [entity]}, **fields}


def foundation(name: str, **fields: Any) -> dict[str, Any]:
    return {"entity_name": f"system.ai.{name}", "foundation_model": {"name": f"system.ai.{name}", **fields}}


def external(provider: str, task: str = "llm/v1/chat", **fields: Any) -> dict[str, Any]:
    return {"external_model": {"provider": provider, "name": "x", "task": task, **fields}}


LISTING: dict[str, Any] = {
    "endpoints": [
        served(
            "databricks-gpt-5", foundation("gpt-5", display_name="GPT-5", description="A model."), task="llm/v1/chat"
        ),
        served("databricks-gpt-5-3-codex", foundation("gpt-5-3-codex"), task="llm/v1/chat"),
        served("databricks-gpt-oss-120b", foundation("gpt-oss-120b"), task="llm/v1/chat"),
        served("databricks-claude-opus-5", foundation("claude-opus-5"), task="llm/v1/chat"),
        served(
            "databricks-grok", foundation("grok-4-7", api_types=["openai/v1/responses", "mlflow/v1/chat/completions"])
        ),
        served("databricks-gpt-9", foundation("gpt-9", api_types=["mlflow/v1/chat/completions"])),
        served("databricks-o3", foundation("o3")),
        served("databricks-gte-large-en", foundation("gte_large_en_v1_5"), task="llm/v1/embeddings"),
        {"name": "databricks-by-type", "endpoint_type": "FOUNDATION_MODEL_API"},
        {"name": "databricks-gpt-6", "state": {"ready": "NOT_READY", "config_update": "IN_PROGRESS"}},
        served("my-openai", external("openai"), description="Ours."),
        served("my-azure", external("openai", openai_config={"openai_api_type": "azuread"})),
        served("my-embeddings", external("openai", task="llm/v1/embeddings")),
        served("my-claude", external("anthropic")),
        served("my-custom", external("custom")),
        served("my-forward", external("databricks-model-serving")),
        served("my-responses", external("amazon-bedrock", task="llm/v1/responses")),
        served("my-agent", {"entity_name": "main.agents.a"}, task="agent/v1/responses"),
        served("my-old-agent", {"entity_name": "main.agents.b"}, task="agent/v2/chat"),
        served("my-llama", {"entity_name": "main.m.llama", "max_provisioned_throughput": 100}, task="llm/v1/chat"),
        served("my-sklearn", {"entity_name": "main.m.churn"}),
        {"name": "bare"},
        {"name": "old-fields", "state": "READY", "config": {"served_models": [{"model_name": "x"}]}},
    ]
}


def test_each_kind_of_endpoint_is_told_apart() -> None:
    told = {
        e.name: (e.kind, e.profile.model_class, e.profile.has("image_generation"), f"{e.provider}", f"{e.task}")
        for e in read_entries(LISTING["endpoints"])
    }
    assert told == snapshot(
        {
            "databricks-gpt-5": ("pay_per_token", "native", "yes", "None", "llm/v1/chat"),
            "databricks-gpt-5-3-codex": ("pay_per_token", "native", "unknown", "None", "llm/v1/chat"),
            "databricks-gpt-oss-120b": ("pay_per_token", "open", "no", "None", "llm/v1/chat"),
            "databricks-claude-opus-5": ("pay_per_token", "open", "no", "None", "llm/v1/chat"),
            "databricks-grok": ("pay_per_token", "native", "unknown", "None", "None"),
            "databricks-gpt-9": ("pay_per_token", "open", "no", "None", "None"),
            "databricks-o3": ("pay_per_token", "open", "no", "None", "None"),
            "databricks-gte-large-en": ("pay_per_token", "other", "no", "None", "llm/v1/embeddings"),
            "databricks-by-type": ("pay_per_token", "open", "no", "None", "None"),
            "databricks-gpt-6": ("pay_per_token", "native", "yes", "None", "None"),
            "my-openai": ("external", "native", "yes", "openai", "llm/v1/chat"),
            "my-azure": ("external", "native", "yes", "openai", "llm/v1/chat"),
            "my-embeddings": ("external", "other", "no", "openai", "llm/v1/embeddings"),
            "my-claude": ("external", "chat", "no", "anthropic", "llm/v1/chat"),
            "my-custom": ("external", "chat", "no", "custom", "llm/v1/chat"),
            "my-forward": ("external", "chat", "no", "databricks-model-serving", "llm/v1/chat"),
            "my-responses": ("external", "native", "unknown", "amazon-bedrock", "llm/v1/responses"),
            "my-agent": ("agent", "agent", "no", "None", "agent/v1/responses"),
            "my-old-agent": ("agent", "agent", "no", "None", "agent/v2/chat"),
            "my-llama": ("provisioned", "open", "no", "None", "llm/v1/chat"),
            "my-sklearn": ("custom", "chat", "no", "None", "None"),
            "bare": ("custom", "chat", "no", "None", "None"),
            "old-fields": ("custom", "chat", "no", "None", "None"),
        }
    )


def test_an_entry_is_read_whole() -> None:
    first, *_, last = read_entries(LISTING["endpoints"])
    assert [first, last] == snapshot(
        [
            Endpoint(
                name="databricks-gpt-5",
                ready=True,
                state="READY",
                task="llm/v1/chat",
                provider=None,
                kind="pay_per_token",
                display_name="GPT-5",
                description="A model.",
                profile=ModelProfile(
                    model_class="native",
                    surfaces=("responses", "chat"),
                    reason="an OpenAI GPT that Databricks serves, by its name",
                    confidence="named",
                    can=frozenset(CAPABILITIES),
                ),
                served=("system.ai.gpt-5",),
            ),
            Endpoint(
                name="old-fields",
                ready=True,
                state="READY",
                task=None,
                provider=None,
                kind="custom",
                display_name="old-fields",
                description="",
                profile=ModelProfile(
                    model_class="chat",
                    surfaces=("invocations", "chat"),
                    reason="a custom model; the workspace does not say which API it supports",
                    confidence="guessed",
                    can=frozenset({"text", "structured_output"}),
                    cannot=frozenset({"image_generation", "web_search", "custom_tools"}),
                ),
            ),
        ]
    )


def test_the_state_is_told_in_the_workspaces_words() -> None:
    assert {e.name: (e.ready, e.state) for e in read_entries(LISTING["endpoints"]) if e.state != "READY"} == snapshot(
        {
            "databricks-by-type": (True, "not told"),
            "databricks-gpt-6": (False, "NOT_READY, IN_PROGRESS"),
            "bare": (True, "not told"),
        }
    )


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("databricks-gpt-5", (5, 0)),
        ("databricks-gpt-5-1-codex-max", (5, 1)),
        ("system.ai.gpt-6-1-sol", (6, 1)),
        ("gpt-5.4", (5, 4)),
        ("gpt-5-2025-08-07", (5, 0)),
        ("gpt-4-0613", (4, 0)),
        ("gpt-4o-mini", (4, 0)),
        ("gpt-35-turbo", (3, 5)),
        ("my-gpt-10-2", (10, 2)),
        ("databricks-gpt-oss-20b", None),
        ("gpt-120b", None),
        ("chatgpt-5", None),
        ("databricks-claude-sonnet-5", None),
    ],
)
def test_the_version_of_a_gpt_is_read_from_its_name(name: str, version: tuple[int, int] | None) -> None:
    assert gpt_version(name) == version


@pytest.mark.parametrize("entries", [None, {}, [None, 1, {}, {"name": 5}]])
def test_a_listing_without_endpoints_is_empty(entries: Any) -> None:
    assert read_entries(entries) == []


entries = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "state",
                    "ready",
                    "task",
                    "config",
                    "served_entities",
                    "foundation_model",
                    "external_model",
                    "provider",
                    "api_types",
                    "openai_config",
                    "endpoint_type",
                    "description",
                    "display_name",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.lists(entries, max_size=3))
def test_no_listing_of_any_shape_breaks_the_reader(listing: list[Any]) -> None:
    named = [e for e in listing if isinstance(e, dict) and isinstance(e.get("name"), str) and e["name"].strip()]
    assert [e.name for e in read_entries(listing)] == [e["name"].strip() for e in named]
