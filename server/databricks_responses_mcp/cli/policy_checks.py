"""The doctor's check of the policy of a team's service: whether its file is valid, and what a user may do."""

from collections.abc import Mapping

import anyio.to_thread

from databricks_responses_mcp.cli.findings import NotApplicableError
from databricks_responses_mcp.policy.access import AccessPolicy
from databricks_responses_mcp.policy.explanation import rules_in_words, summary_of
from databricks_responses_mcp.service.policy_file import read_policy
from databricks_responses_mcp.service.settings import load_service_settings
from databricks_responses_mcp.tools.definitions import NAMES
from databricks_responses_mcp.workspace.secret_values import SecretValues


async def examine_policy(environ: Mapping[str, str], secrets: SecretValues, user: str | None) -> str:
    """Return what the policy has, and the rules of a user.

    Args:
        user: a name, or an id at the issuer; None for a user whom no section names.

    Raises:
        BridgeError: for a wrong setting of the service, and naming each error of the policy file.
        NotApplicableError: if there is no policy.
    """
    path = load_service_settings(environ, secrets=secrets).policy
    if path is None:
        raise NotApplicableError("RESPONSES_MCP_SERVICE_POLICY is not set: users may do what the server can do")
    policy = await anyio.to_thread.run_sync(read_policy, path, NAMES)
    access = AccessPolicy.of_user(policy, user or "", user or "")
    whose = f"Rules of {user}" if user else "Rules of a user whom no section names; --user NAME shows those of one"
    lines = "".join(f"\n  - {line}" for line in rules_in_words(access))
    return f"{path} is valid. It has {summary_of(policy)}.\n  {whose}:{lines}"
