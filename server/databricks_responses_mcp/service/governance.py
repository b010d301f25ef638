"""The policy and the audit log, which a service applies to each of its users."""

from collections.abc import Sequence
from pathlib import Path

from databricks_responses_mcp.calls.call_log import AuditError, User
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.policy.access import AccessPolicy
from databricks_responses_mcp.policy.rules import PolicyRules
from databricks_responses_mcp.service.audit import AuditFile, AuditTable
from databricks_responses_mcp.service.callers import Caller
from databricks_responses_mcp.service.policy_file import read_policy
from databricks_responses_mcp.service.settings import ServiceSettings


class Governance:
    """The policy and the audit log of a service. Make it with `load_governance`.

    Args:
        rules: of the policy file; None for no policy.
        audit_file: where calls are recorded; None for no file.
        is_strict: whether a call is recorded before it spends anything.
        has_table: whether calls are recorded in the store.
    """

    def __init__(
        self, rules: PolicyRules | None, audit_file: AuditFile | None, *, has_table: bool, is_strict: bool
    ) -> None:
        self._rules = rules
        self._audit_file = audit_file
        self._has_table = has_table
        self._is_strict = is_strict

    def apply(self, app: App, caller: Caller) -> None:
        """Apply the policy to the calls of a user's new App, and log them with the user's name."""
        app.bridge.policy = self.policy_of(caller)
        app.user = User(issuer=caller.issuer, subject=caller.subject, name=caller.name)
        app.audit = AuditTable(app.bridge.store, is_strict=self._is_strict) if self._has_table else self._audit_file

    def folder_of(self, caller: Caller) -> Path | None:
        """Return the directory of local files that a user may use; None if the policy has none."""
        policy = self.policy_of(caller)
        rule = None if policy is None else policy.folder
        if rule is None:
            return None
        return Path(rule.value) if rule.is_of_one_user else Path(rule.value) / caller.folder_name

    def policy_of(self, caller: Caller) -> AccessPolicy | None:
        """Return the rules of a user; None if there is no policy."""
        return None if self._rules is None else AccessPolicy.of_user(self._rules, caller.subject, caller.name)


def load_governance(service: ServiceSettings, tools: Sequence[str]) -> Governance:
    """Read the policy file and check the audit log. Blocks.

    Args:
        tools: the names of the server's tools.

    Raises:
        BridgeError: ``invalid_argument`` naming every error of the policy file, or for settings of the audit log that
            contradict each other; ``not_configured`` for a file that cannot be read or written.
    """
    rules = None if service.policy is None else read_policy(service.policy, tools)
    audit = service.audit
    if service.audit_days and audit != "table":
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "RESPONSES_MCP_SERVICE_AUDIT_DAYS is set, and the audit log is not a table.",
            "Set RESPONSES_MCP_SERVICE_AUDIT to table, or use RESPONSES_MCP_SERVICE_AUDIT_MAX_FILES for a file.",
        )
    file = None
    if isinstance(audit, Path):
        file = AuditFile(
            audit,
            max_bytes=service.audit_max_bytes,
            max_files=service.audit_max_files,
            is_strict=service.audit_strict,
        )
        try:
            file.check()
        except AuditError as error:
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED,
                f"The audit log cannot be written: {error}",
                "Set RESPONSES_MCP_SERVICE_AUDIT to a file in a directory that the service may write.",
            ) from error
    return Governance(rules, file, has_table=audit == "table", is_strict=service.audit_strict)
