"""How an endpoint is classified: by what the workspace says of it, else by its name; surely never refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.workspace.model_profile import CAPABILITIES, EndpointFacts, profile_of, profile_of_name
from databricks_responses_mcp.workspace.surfaces.table import SURFACES

CHAT_API = "mlflow/v1/chat/completions"


@pytest.mark.parametrize(
    ("facts", "model_class", "surfaces", "confidence"),
    [
        (EndpointFacts(names="databricks-gpt-5", is_ours=True), "native", ("responses", "chat"), "named"),
        (
            EndpointFacts(names="databricks-gpt-5", is_ours=True, api_types=["openai/v1/responses"]),
            "native",
            ("responses",),
            "listed",
        ),
        (
            EndpointFacts(names="databricks-grok-4-6", is_ours=True, api_types=["openai/v1/responses", CHAT_API]),
            "native",
            ("responses", "chat"),
            "listed",
        ),
        (EndpointFacts(names="databricks-claude-opus-5", is_ours=True), "open", ("open-responses", "chat"), "named"),
        (EndpointFacts(names="databricks-gpt-oss-120b", is_ours=True), "open", ("open-responses", "chat"), "named"),
        (
            EndpointFacts(names="c", is_ours=True, api_types=["anthropic/v1/messages"]),
            "open",
            ("open-responses", "chat"),
            "listed",
        ),
        (
            EndpointFacts(names="c", is_ours=True, api_types=[CHAT_API, "mlflow/v1/responses"]),
            "open",
            ("open-responses", "chat"),
            "listed",
        ),
        (
            EndpointFacts(names="c", is_ours=True, api_types=[CHAT_API]),
            "open",
            ("open-responses", "chat"),
            "guessed",
        ),
        (EndpointFacts(names="e", task="llm/v1/embeddings"), "other", ("responses",), "listed"),
        (EndpointFacts(names="e", is_ours=True, api_types=["mlflow/v1/embeddings"]), "other", ("responses",), "listed"),
        (EndpointFacts(names="a", task="agent/v1/responses"), "agent", ("agent", "agent-invocations"), "listed"),
        (EndpointFacts(names="a", task="agent/v2/responses"), "agent", ("agent", "agent-invocations"), "listed"),
        (EndpointFacts(names="a", task="agent/v1/chat"), "agent", ("agent-chat", "chat"), "listed"),
        (EndpointFacts(names="x", is_external=True, provider="openai"), "native", ("responses", "chat"), "listed"),
        (
            EndpointFacts(names="x", is_external=True, provider="amazon-bedrock"),
            "chat",
            ("chat", "invocations"),
            "listed",
        ),
        (EndpointFacts(names="x", is_external=True, provider="custom"), "chat", ("chat", "responses"), "guessed"),
        (EndpointFacts(names="mine", task="llm/v1/chat"), "chat", ("chat", "invocations"), "listed"),
        (EndpointFacts(names="mine"), "chat", ("invocations", "chat"), "guessed"),
        (
            EndpointFacts(
                names="system.ai.gpt-9",
                is_ours=True,
                is_only_in_catalog=True,
                api_types=["openai/v1/responses", CHAT_API],
            ),
            "native",
            ("gateway", "gateway-chat"),
            "listed",
        ),
        (
            EndpointFacts(names="system.ai.qwen9", is_ours=True, is_only_in_catalog=True, api_types=[CHAT_API]),
            "open",
            ("gateway-chat",),
            "listed",
        ),
    ],
)
def test_what_is_known_of_an_endpoint_says_how_it_is_reached(
    facts: EndpointFacts, model_class: str, surfaces: tuple[str, ...], confidence: str
) -> None:
    profile = profile_of(facts)
    assert (profile.model_class, profile.surfaces, profile.confidence) == (model_class, surfaces, confidence)
    assert profile.reason


@pytest.mark.parametrize(
    ("name", "surfaces"),
    [
        ("databricks-gpt-7", ("responses", "chat")),
        ("databricks-gemini-9-pro", ("open-responses", "chat")),
        ("system.ai.gpt-5-6-sol", ("gateway", "gateway-chat")),
        ("system.ai.claude-opus-5", ("gateway-chat", "gateway")),
        ("whatever", ("responses", "chat")),
    ],
)
def test_a_name_that_no_listing_has_is_tried_all_the_same(name: str, surfaces: tuple[str, ...]) -> None:
    assert profile_of_name(name).surfaces == surfaces


@pytest.mark.parametrize(
    ("facts", "can", "cannot"),
    [
        (EndpointFacts(names="databricks-gpt-5", is_ours=True), set(CAPABILITIES), set()),
        (
            EndpointFacts(names="databricks-gpt-5-mini", is_ours=True),
            set(CAPABILITIES) - {"custom_tools"},
            set(),
        ),
        (
            EndpointFacts(names="databricks-claude-opus-5", is_ours=True),
            {"text", "images", "structured_output"},
            {"image_generation", "web_search", "custom_tools"},
        ),
        (
            EndpointFacts(names="databricks-meta-llama-3-3-70b", is_ours=True),
            {"text", "structured_output"},
            {"image_generation", "web_search", "custom_tools"},
        ),
        (
            EndpointFacts(names="my/gpt-5", is_external=True, provider="openai"),
            set(CAPABILITIES) - {"web_search"},
            set(),
        ),
        (EndpointFacts(names="e", task="llm/v1/embeddings"), set(), set(CAPABILITIES)),
    ],
)
def test_what_it_can_do_is_told_as_far_as_it_is_known(facts: EndpointFacts, can: set[str], cannot: set[str]) -> None:
    profile = profile_of(facts)
    assert (set(profile.can), set(profile.cannot)) == (can, cannot)


@given(
    st.text(max_size=40), st.text(max_size=20), st.text(max_size=20), st.booleans(), st.booleans(), st.lists(st.text())
)
def test_every_endpoint_has_a_way(
    names: str, task: str, provider: str, is_ours: bool, is_external: bool, api_types: list[str]
) -> None:
    for catalog in (False, True):
        profile = profile_of(
            EndpointFacts(
                names=names,
                task=task,
                provider=provider,
                is_ours=is_ours,
                is_external=is_external,
                is_only_in_catalog=catalog,
                api_types=api_types,
            )
        )
        assert profile.surfaces
        assert set(profile.surfaces) <= set(SURFACES)
        assert not profile.can & profile.cannot
