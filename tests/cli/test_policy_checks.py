"""``doctor`` explains the policy of a team's service: what a user may do, and each error with its place."""

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.cli.findings import NotApplicableError
from databricks_responses_mcp.cli.policy_checks import examine_policy
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.workspace.secret_values import SecretValues
from harness.terminal import CommandLine, folded

pytestmark = pytest.mark.anyio

POLICY = """
[default]
models.deny = ["*opus*"]
tokens_per_day = 500000
[total]
requests_per_minute = 300
[[group]]
name = "science"
members = ["*@science.example.com"]
models.deny = []
read_only = true
"""


async def explained(tmp_path: Path, text: str, user: str | None) -> str:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    environ = {"RESPONSES_MCP_SERVICE_POLICY": str(path)}
    return (await examine_policy(environ, SecretValues(), user)).replace(str(tmp_path), "TMP")


async def test_the_rules_of_a_user_are_listed_with_their_sections(tmp_path: Path) -> None:
    assert await explained(tmp_path, POLICY, "Bob@Science.example.com") == snapshot("""\
TMP/policy.toml is valid. It has rules of all users; groups: science; limits of all users together.
  Rules of Bob@Science.example.com:
  - models.deny: none  ([[group]] science)
  - read_only: yes  ([[group]] science)
  - tokens_per_day: 500,000  ([default])
  - requests_per_minute of all users together: 300  ([total])
  - Local files are off: no folder is set.
  - What no rule names is allowed.\
""")


async def test_without_a_user_the_rules_of_all_are_listed(tmp_path: Path) -> None:
    assert await explained(tmp_path, POLICY, None) == snapshot("""\
TMP/policy.toml is valid. It has rules of all users; groups: science; limits of all users together.
  Rules of a user whom no section names; --user NAME shows those of one:
  - models.deny: *opus*  ([default])
  - tokens_per_day: 500,000  ([default])
  - requests_per_minute of all users together: 300  ([total])
  - Local files are off: no folder is set.
  - What no rule names is allowed.\
""")


async def test_an_empty_policy_says_that_it_has_no_rules(tmp_path: Path) -> None:
    assert await explained(tmp_path, "", None) == snapshot("""\
TMP/policy.toml is valid. It has no rules: users may do what the server can do.
  Rules of a user whom no section names; --user NAME shows those of one:
  - Local files are off: no folder is set.
  - What no rule names is allowed.\
""")


async def test_without_a_policy_there_is_nothing_to_explain() -> None:
    with pytest.raises(NotApplicableError, match="is not set: users may do what the server can do"):
        await examine_policy({}, SecretValues(), "alice")


async def test_a_wrong_setting_of_the_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="RESPONSES_MCP_SERVICE_POLICY"):
        await examine_policy({"RESPONSES_MCP_SERVICE_POLICY": "relative.toml"}, SecretValues(), None)


async def test_each_error_of_the_file_fails_the_check(bare: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[default]\nread_onyl = true\nmax_output_tokens = 1\n", encoding="utf-8")
    ran = await bare.run("doctor", "--no-call", RESPONSES_MCP_SERVICE_POLICY=str(path))
    assert ran.code == 2
    told = ran.out.replace(str(tmp_path), "TMP").partition("✗ policy")[2].partition("\N{EN DASH} service")[0]
    assert folded(told) == snapshot("""\
: The policy file TMP/policy.toml is not valid:
- default.max_output_tokens: input should be greater than or equal to 16, not 1
- default.read_onyl: there is no such key. Did you mean read_only? The keys are tokens_per_day,
requests_per_minute, concurrent_calls, models, surfaces, tools, model_tools, url_hosts, mcp_servers,
images, max_output_tokens, folder, read_only.
  Correct it: without a valid policy the service does not start.
""")
