"""Policies for tests, written as a policy file has them."""

from databricks_responses_mcp.policy.access import AccessPolicy
from databricks_responses_mcp.policy.rules import PolicyRules
from databricks_responses_mcp.service.policy_file import parse_policy
from databricks_responses_mcp.tools.definitions import NAMES


def rules(text: str) -> PolicyRules:
    """Return the rules of a policy file's text."""
    policy, problems = parse_policy(text.encode(), NAMES)
    assert policy is not None, problems
    return policy


def policy_of(text: str, *, subject: str = "u-1", name: str = "alice@example.com") -> AccessPolicy:
    """Return what a policy file's text lets a user do."""
    return AccessPolicy.of_user(rules(text), subject, name)
