"""A policy in words, for people: the sections of its file, and the rules of one user."""

from collections.abc import Iterator
from typing import Any

from databricks_responses_mcp.policy.access import AccessPolicy
from databricks_responses_mcp.policy.rules import Limits, PolicyRules, Rule, Rules

_MAX_PATTERNS = 30


def summary_of(policy: PolicyRules) -> str:
    """Return a summary of the sections of a policy."""
    parts = []
    if policy.default.model_fields_set:
        parts.append("rules of all users")
    if policy.group:
        parts.append(f"groups: {', '.join(group.name for group in policy.group)}")
    if policy.users:
        parts.append(f"users: {', '.join(policy.users)}")
    if policy.total.model_fields_set:
        parts.append("limits of all users together")
    return "; ".join(parts) or "no rules: users may do what the server can do"


def rules_in_words(access: AccessPolicy) -> Iterator[str]:
    """Yield a line for each rule that applies to a user, with its place in the file."""
    keys = sorted(Rules.model_fields, key=lambda key: key in Limits.model_fields)
    for key, rule in sorted(access.rules.items(), key=lambda item: (keys.index(item[0].partition(".")[0]), item[0])):
        yield _line(key, rule)
    limits = access.total_limits
    for key in Limits.model_fields:
        total: Rule | None = getattr(limits, key)
        if total is not None:
            yield _line(f"{key} of all users together", total)
    if access.folder is None:
        yield "Local files are off: no folder is set."
    yield "What no rule names is allowed."


def _line(key: str, rule: Rule) -> str:
    return f"{key}: {_value(rule.value)}  ({rule.place.rpartition(' ')[0].rstrip(':')})"


def _value(value: Any) -> str:
    if isinstance(value, list):
        more = f", and {len(value) - _MAX_PATTERNS} more" if len(value) > _MAX_PATTERNS else ""
        return ", ".join(value[:_MAX_PATTERNS]) + more or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
