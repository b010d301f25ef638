"""Policy files: every error with its place and what is allowed there."""

from pathlib import Path
from textwrap import wrap

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.policy.rules import Group
from databricks_responses_mcp.service.policy_file import MAX_FILE_BYTES, parse_policy, read_policy
from databricks_responses_mcp.tools.definitions import NAMES


def problems(text: str) -> list[str]:
    """Return every error of a text, in lines of 100 columns."""
    return [line for problem in parse_policy(text.encode(), NAMES)[1] for line in wrap(problem, 100)]


def test_every_error_of_a_file_is_named_with_its_place() -> None:
    text = """
        contact = 7
        [default]
        modls = 3
        tools.alow = ["ask_databricks_model"]
        tokens_per_day = "many"
        read_only = 1
        [total]
        models.allow = ["*"]
        [users."a@b.c"]
        images.size = ["auto"]
        concurrent_calls = 0
        [[group]]
        name = "g"
        members = []
    """
    assert problems(text) == snapshot(
        [
            "contact: input should be a valid string, not 7",
            "default.tokens_per_day: input should be a valid integer, not 'many'",
            "default.tools.alow: there is no such key. Did you mean allow? The keys are allow.",
            "default.read_only: input should be a valid boolean, not 1",
            "default.modls: there is no such key. Did you mean models? The keys are tokens_per_day,",
            "requests_per_minute, concurrent_calls, models, surfaces, tools, model_tools, url_hosts, mcp_servers,",
            "images, max_output_tokens, folder, read_only.",
            "total.models: there is no such key. The keys are tokens_per_day, requests_per_minute,",
            "concurrent_calls.",
            "group[1].members: list should have at least 1 item after validation, not 0, not []",
            'users."a@b.c".concurrent_calls: input should be greater than or equal to 1, not 0',
            'users."a@b.c".images.size: there is no such key. Did you mean sizes? The keys are sizes, qualities,',
            "max_count.",
        ]
    )


def test_a_wrong_value_is_named_beside_a_key_that_does_not_exist() -> None:
    text = """
        default.modls = 1
        default.folder = "relative"
        [[group]]
        name = "g"
        members = ["*"]
        tokens_per_day = "many"
        images.sizes = ["large", "auto"]
        images.qualities = [7, "best"]
        [users.a]
        surfaces.allow = ["respnses"]
    """
    assert problems(text) == snapshot(
        [
            "default.modls: there is no such key. Did you mean models? The keys are tokens_per_day,",
            "requests_per_minute, concurrent_calls, models, surfaces, tools, model_tools, url_hosts, mcp_servers,",
            "images, max_output_tokens, folder, read_only.",
            "group[1].tokens_per_day: input should be a valid integer, not 'many'",
            "group[1].images.qualities[1]: input should be a valid string, not 7",
            "default.folder: 'relative' is not an absolute path",
            "group[1].images.sizes[1]: 'large' is neither WIDTHxHEIGHT nor auto",
            "users.a.surfaces.allow[1]: there is no 'respnses'. Did you mean responses? There are responses,",
            "open-responses, chat, invocations, agent, agent-invocations, agent-chat, app, gateway, gateway-chat,",
            "gemini, supervisor.",
        ]
    )


@pytest.mark.parametrize(
    "text", ["group = [1]", "group = 1", '[[group]]\nname = "g"', "users.a = 1", 'users."" = {}', "total = []"]
)
def test_an_error_that_leaves_nothing_to_check_beside_it_is_the_only_one(text: str) -> None:
    assert len(problems(text)) == 1


def test_every_value_that_means_nothing_is_named_with_those_that_do() -> None:
    text = """
        [default]
        tools.allow = ["ask_databricks_modle", "gen*"]
        surfaces.allow = ["respnses", "gateway*"]
        model_tools.allow = ["web_serch", "something_new"]
        url_hosts.allow = ["https://x.example/z", "*.a.example:*", "*", "a.example:90", "a*.example"]
        mcp_servers.allow = ["http://x.example", "genie/*", "https://*.a.example/*"]
        images = { sizes = ["1024"], qualities = ["hi"] }
        folder = "home"
        [[group]]
        name = "g"
        members = ["*"]
        [[group]]
        name = "g"
        members = ["*"]
        [users.A]
        [users.a]
    """
    assert problems(text) == snapshot(
        [
            "default.surfaces.allow[1]: there is no 'respnses'. Did you mean responses? There are responses,",
            "open-responses, chat, invocations, agent, agent-invocations, agent-chat, app, gateway, gateway-chat,",
            "gemini, supervisor.",
            "default.tools.allow[1]: there is no 'ask_databricks_modle'. Did you mean ask_databricks_model? There",
            "are ask_databricks_model, continue_databricks_model, generate_image, search_web, edit_files,",
            "list_databricks_models, get_response, manage_conversations.",
            "default.model_tools.allow[1]: there is no 'web_serch'. Did you mean web_search? There are function,",
            "custom, web_search, image_generation, code_interpreter, mcp, apply_patch, shell, local_shell,",
            "file_search, computer, computer_use.",
            "default.url_hosts.allow[1]: 'https://x.example/z' is not a host. Give a name, *.NAME or *, without",
            "https:// and path; :PORT or :* for other ports than 443.",
            "default.url_hosts.allow[5]: 'a*.example' is not a host. Give a name, *.NAME or *, without https://",
            "and path; :PORT or :* for other ports than 443.",
            "default.mcp_servers.allow[1]: 'http://x.example' is not a pattern such as https://HOST/PATH*",
            "default.images.sizes[1]: '1024' is neither WIDTHxHEIGHT nor auto",
            "default.images.qualities[1]: 'hi' is none of auto, low, medium, high, xhigh, max, standard, hd",
            "default.folder: 'home' is not an absolute path",
            "group[2].name: two groups are called 'g'",
            "users.a: means the same user as 'A'",
        ]
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[default]\nread_only = tru", "not valid TOML: Invalid value (at line 2, column 13)"),
        (b"[default]\n[default]", "not valid TOML: Cannot declare ('default',) twice (at line 2, column 9)"),
        (b"[default]\ncontact = '\xff'", "line 2: the file is not UTF-8"),
        (b"#" * (MAX_FILE_BYTES + 1), f"the file is larger than {MAX_FILE_BYTES} bytes"),
        (b"x = " + b"[" * 100_000, "the file is nested too deeply"),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_the_line(content: bytes, problem: str) -> None:
    assert parse_policy(content, NAMES) == (None, [problem])


def test_an_empty_file_allows_everything() -> None:
    rules, found = parse_policy(b"", NAMES)
    assert found == []
    assert rules is not None
    assert rules.default.model_fields_set == set()


def test_a_file_that_cannot_be_read_or_is_wrong_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BridgeError) as caught:
        read_policy(tmp_path / "none.toml", NAMES)
    assert caught.value.code is ErrorCode.NOT_CONFIGURED
    assert "No such file or directory" in caught.value.message
    path = tmp_path / "policy.toml"
    path.write_text("a = 1\nb = 2\n", encoding="utf-8")
    with pytest.raises(BridgeError) as caught:
        read_policy(path, NAMES)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert caught.value.message == (
        f"The policy file {path} is not valid:\n"
        "- a: there is no such key. The keys are contact, default, total, group, users.\n"
        "- b: there is no such key. The keys are contact, default, total, group, users."
    )


def test_the_example_of_the_documentation_is_valid_and_shows_every_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    example = page.partition("<!-- policy-example -->\n```toml\n")[2].partition("```")[0]
    policy, found = parse_policy(example.encode(), NAMES)
    assert found == []
    assert policy is not None
    sections = [policy.default, policy.total, *policy.group, *policy.users.values()]
    assert set().union(*(section.model_fields_set for section in sections)) == set(Group.model_fields)
