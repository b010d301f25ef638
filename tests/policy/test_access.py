"""Decisions by the rules of one user: by names in every form, by places that cannot be passed off as others."""

from typing import Any

import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.policy.access import AccessPolicy
from databricks_responses_mcp.policy.refusal import PolicyError
from harness.policies import policy_of

OPUS = 'default.models.deny = ["*opus*"]'
HOSTS = (
    'default.url_hosts.allow = ["cdn.example.com", "*.images.example.com", "bücher.example", "lab.example.com:8443"]'
)


def refused(policy: AccessPolicy, body: dict[str, Any]) -> str:
    with pytest.raises(PolicyError) as caught:
        policy.hold(body)
    return caught.value.rule


def body(**parameters: Any) -> dict[str, Any]:
    return {"model": "databricks-gpt-5", "input": [], **parameters}


@pytest.mark.parametrize(
    "name",
    [
        "databricks-claude-opus-4-1",
        "DATABRICKS-CLAUDE-OPUS-4-1",
        " databricks-claude-opus-4-1 ",
        "system.ai.claude-opus-4-1",
        "System.AI.Claude-Opus-4-1",
        "system.ai.databricks-claude-opus-4-1",
        "databricks-claude-\uff4f\uff50\uff55\uff53-4-1",
        "main.models.my_opus",
        "apps/opus-agent",
        "https://opus-agent-123.aws.databricksapps.com/responses",
    ],
)
def test_a_denied_model_is_denied_by_each_of_its_names(name: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(OPUS).check_model(name)
    assert caught.value.code is ErrorCode.PERMISSION_DENIED
    assert caught.value.rule == '[default] models.deny "*opus*"'
    assert "Nothing was sent." in caught.value.message


def test_a_denied_model_is_denied_behind_an_endpoint_of_another_name() -> None:
    policy = policy_of(OPUS)
    policy.check_model("team-chat", ["claude-sonnet-4"])
    with pytest.raises(PolicyError):
        policy.check_model("team-chat", ["claude-sonnet-4", "claude-opus-4"])


@pytest.mark.parametrize(
    ("pattern", "name", "is_allowed"),
    [
        ("databricks-gpt-*", "databricks-gpt-5", True),
        ("databricks-gpt-*", "system.ai.gpt-5", True),
        ("system.ai.*", "databricks-gpt-5", True),
        ("databricks-gpt-*", "gpt-5", False),
        ("databricks-gpt-*", "main.databricks-gpt-5.x", False),
        ("apps/agent", "https://agent-123.databricksapps.com", True),
        ("apps/agent", "https://agent-123.databricksapps.com.evil.example", False),
        ("apps/agent", "https://agent-9-123.databricksapps.com", False),
        ("apps/agent", "apps/agent-2", False),
    ],
)
def test_an_allowed_model_is_allowed_by_the_names_of_the_same_model_only(
    pattern: str, name: str, is_allowed: bool
) -> None:
    assert policy_of(f'default.models.allow = ["{pattern}"]').allows_model(name) is is_allowed


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://cdn.example.com/a.png", True),
        ("https://CDN.Example.COM./a.png", True),
        ("https://cdn.example.com:443/a.png", True),
        ("https://a.images.example.com/a.png", True),
        ("https://a.b.images.example.com/a.png", True),
        ("https://bücher.example/a.png", True),
        ("https://xn--bcher-kva.example/a.png", True),
        ("https://lab.example.com:8443/a.png", True),
        ("https://images.example.com/a.png", False),
        ("https://evilimages.example.com/a.png", False),
        ("https://cdn.example.com:8443/a.png", False),
        ("https://lab.example.com/a.png", False),
        ("http://cdn.example.com/a.png", False),
        ("https://cdn.example.com.evil.example/a.png", False),
        ("https://cdn.example.com@evil.example/a.png", False),
        ("https://evil.example@cdn.example.com/a.png", False),
        ("https://evil.example\\@cdn.example.com/a.png", False),
        ("https://evil.example#@cdn.example.com/a.png", False),
        ("https://evil.example?cdn.example.com", False),
        ("https://cdn.example.com%2eevil.example/", False),
        ("https://cdn.example.com\n.evil.example/", False),
        ("https://cdn。example。com/", True),
        ("https://b\u00dfcher.example/a.png", False),
        ("https://93.184.216.34/", False),
        ("https://0x5db8d822/", False),
        ("https://1572395042/", False),
        ("https://[::ffff:93.184.216.34]/", False),
        ("https:///cdn.example.com/", False),
        ("//cdn.example.com/a.png", False),
        ("https://cdn.example.com:99999/", False),
        ("https://cdn.example.com:0/", False),
    ],
)
def test_a_host_of_the_list_cannot_be_passed_off(url: str, is_allowed: bool) -> None:
    policy = policy_of(HOSTS)
    if is_allowed:
        policy.check_url(url)
        return
    with pytest.raises(PolicyError) as caught:
        policy.check_url(url)
    assert caught.value.rule.startswith("[default] url_hosts.allow = [")


def test_every_host_is_allowed_by_a_star_on_the_default_port_only() -> None:
    policy = policy_of('default.url_hosts.allow = ["*", "[2001:db8::1]:*"]')
    policy.check_url("https://93.184.216.34/")
    policy.check_url("https://[2001:DB8::0:1]:9000/")
    with pytest.raises(PolicyError):
        policy.check_url("https://example.com:22/")


def test_urls_that_the_provider_would_fetch_are_found_anywhere_in_a_request_and_citations_are_not_meant() -> None:
    policy = policy_of(HOSTS)
    cited = {"type": "output_text", "text": "x", "annotations": [{"type": "url_citation", "url": "https://a.example"}]}
    data = {"type": "input_image", "image_url": "data:image/png;base64,AA"}
    policy.hold(body(input=[{"role": "assistant", "content": [cited]}, {"role": "user", "content": [data]}]))
    for part in (
        {"type": "input_image", "image_url": "https://a.example/x.png"},
        {"type": "input_file", "file_url": "HTTPS://a.example/x.pdf"},
        {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}},
    ):
        output = {"type": "function_call_output", "call_id": "c", "output": [part]}
        assert "url_hosts.allow" in refused(policy, body(input=[{"role": "user", "content": [part]}]))
        assert "url_hosts.allow" in refused(policy, body(input=[output]))
    mask = {"type": "image_generation", "input_image_mask": {"image_url": "https://a.example/m.png"}}
    assert "url_hosts.allow" in refused(policy, body(tools=[mask]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "web_search_preview"}]},
        {"tools": [{"type": "WEB_SEARCH_2025_08_26"}]},
        {"tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_url": "https://x.example"}]},
        {"tools": [{"type": "function_x"}]},
        {"web_search_options": {}},
        {"plugins": [{"id": "web"}]},
        {"functions": [{"name": "f"}]},
        {"mcp_servers": [{"url": "https://x.example"}]},
        {"prompt": {"id": "pmpt_1"}},
        {"previous_response_id": "resp_1"},
    ],
)
def test_a_tool_that_is_not_allowed_cannot_be_smuggled_into_a_request(parameters: dict[str, Any]) -> None:
    policy = policy_of('default.model_tools.allow = ["function"]')
    assert refused(policy, body(**parameters)) == '[default] model_tools.allow = ["function"]'


@pytest.mark.parametrize(
    "tools", ["web_search", {"type": "web_search"}, [["web_search"]], [{"type": ["web_search"]}], [None]]
)
def test_tools_of_an_odd_form_are_refused_where_their_types_matter(tools: Any) -> None:
    with pytest.raises(BridgeError) as caught:
        policy_of('default.model_tools.allow = ["web_search"]').hold(body(tools=tools))
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT


def test_allowed_tools_pass_in_all_their_versions() -> None:
    tools = [{"type": "web_search"}, {"type": "web_search_preview_2025_03_11"}, {"type": "function", "name": "f"}]
    request = body(tools=tools)
    policy_of('default.model_tools.allow = ["web_search", "function"]').hold(request)
    assert request == body(tools=tools)


SERVERS = 'default.mcp_servers.allow = ["genie/*", "docs", "https://*.example.com/mcp/*", "connector_drive"]'


@pytest.mark.parametrize(
    ("tool", "is_allowed"),
    [
        ({"server_url": "https://a.example.com/mcp/x"}, True),
        ({"server_url": "https://a.example.com./mcp/x?y=1"}, True),
        ({"connector_id": "connector_drive"}, True),
        ({"server_url": "https://a.example.com/other"}, False),
        ({"server_url": "https://a.example.com/mcp/../other"}, False),
        ({"server_url": "https://a.example.com/mcp/%2e%2e/other"}, False),
        ({"server_url": "https://evil.example/x.example.com/mcp/"}, False),
        ({"server_url": "https://u:p@a.example.com/mcp/x"}, False),
        ({"server_url": "http://a.example.com/mcp/x"}, False),
        ({"server_url": "https://workspace.example/api/2.0/mcp/genie/1"}, False),
        ({"server_url": "genie/1"}, False),
        ({"server_url": "https://a.example.com/mcp/x", "connector_id": "connector_mail"}, False),
        ({"connector_id": "connector_mail"}, False),
        ({"connector_id": "docs"}, False),
        ({"tunnel_id": "docs"}, False),
        ({}, False),
    ],
)
def test_a_server_by_its_address_needs_a_pattern_of_addresses(tool: dict[str, Any], is_allowed: bool) -> None:
    policy, tools = policy_of(SERVERS), [{"type": "mcp", "server_label": "docs", **tool}]
    if is_allowed:
        policy.check_defined_servers(tools)
        return
    with pytest.raises(PolicyError):
        policy.check_defined_servers(tools)


def test_a_server_by_its_name_needs_a_pattern_of_names() -> None:
    policy = policy_of(SERVERS)
    assert [policy.allows_mcp_server(name) for name in ("genie/1", "docs", "docs2", "system.ai.web_search")] == [
        True,
        True,
        False,
        False,
    ]


def test_pictures_take_the_first_allowed_size_and_no_other() -> None:
    policy = policy_of(
        '[default.images]\nsizes = ["1024x1024", "auto"]\nqualities = ["low"]\nmax_count = 2\n'
        '[default.models]\ndeny = ["*mini*"]'
    )
    request = body(tools=[{"type": "image_generation"}])
    policy.hold(request)
    assert request["tools"] == [{"type": "image_generation", "size": "1024x1024", "quality": "low"}]
    for field in ({"size": "4096x4096"}, {"quality": "high"}, {"size": ["auto"]}):
        refused(policy, body(tools=[{"type": "image_generation", **field}]))
    assert "models.deny" in refused(policy, body(tools=[{"type": "image_generation", "model": "gpt-image-1-mini"}]))
    policy.check_pictures(2)
    with pytest.raises(PolicyError):
        policy.check_pictures(3)


@pytest.mark.parametrize("parameters", [{"max_tokens": 10}, {"max_completion_tokens": 9_000_000}, {"n": 50}])
def test_no_other_parameter_raises_the_length_of_answers(parameters: dict[str, Any]) -> None:
    assert "max_output_tokens" in refused(policy_of("default.max_output_tokens = 100"), body(**parameters))


def test_read_only_mode_lets_nothing_be_changed() -> None:
    policy = policy_of("default.read_only = true")
    assert [policy.allows_tool(name) for name in ("ask_databricks_model", "edit_files", "manage_conversations")] == [
        True,
        False,
        True,
    ]
    policy.check_approvals([{"approval_request_id": "a", "approve": False}, {"call_id": "c", "output": "x"}])
    for attempt in (
        lambda: policy.check_tool("edit_files"),
        policy.check_deletion,
        policy.check_saving,
        lambda: policy.check_approvals([{"approval_request_id": "a", "approve": True}]),
        lambda: policy.check_approvals([{"approval_request_id": "a", "approve": "yes"}]),
        lambda: policy.check_defined_servers([{"type": "mcp", "server_url": "https://x.example"}]),
    ):
        with pytest.raises(PolicyError) as caught:
            attempt()
        assert caught.value.rule == "[default] read_only = true"


def test_a_tool_that_is_not_allowed_is_named_with_its_rule_and_results_of_calls_can_always_be_read() -> None:
    policy = policy_of('contact = "#ai-help"\n[default]\ntools.allow = ["ask_*"]')
    policy.check_tool("get_response")
    with pytest.raises(PolicyError) as caught:
        policy.check_tool("generate_image")
    assert str(caught.value) == (
        'The tool generate_image is not allowed: policy rule [default] tools.allow = ["ask_*"]. Nothing was '
        "sent. Keep to the rule, or ask #ai-help to change it."
    )


def test_a_later_section_replaces_the_keys_that_it_has() -> None:
    text = """
        [default]
        max_output_tokens = 100
        models.deny = ["*opus*"]
        models.allow = ["databricks-*"]
        [[group]]
        name = "science"
        members = ["*@science.example.com", "u-7"]
        models.allow = ["*"]
        max_output_tokens = 200
        [[group]]
        name = "leads"
        members = ["alice@*"]
        max_output_tokens = 300
        [users."Alice@Science.Example.com"]
        models.deny = []
    """
    alice = policy_of(text, subject="u-1", name="alice@science.example.com")
    assert {key: (rule.place, rule.value) for key, rule in alice.rules.items()} == {
        "max_output_tokens": ("[[group]] leads: max_output_tokens", 300),
        "models.allow": ("[[group]] science: models.allow", ["*"]),
        "models.deny": ('[users."Alice@Science.Example.com"] models.deny', []),
    }
    by_id = policy_of(text, subject="u-7", name="bob@example.com")
    assert by_id.max_output_tokens is not None
    assert by_id.max_output_tokens.value == 200
    # A pattern is compared with names: an id of another issuer cannot look like one.
    other = policy_of(text, subject="x@science.example.com", name="bob@example.com")
    assert other.max_output_tokens is not None
    assert other.max_output_tokens.value == 100
