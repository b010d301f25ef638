"""The error of what a policy does not allow; apart from the rules, which only a service imports."""

from dataclasses import dataclass

from databricks_responses_mcp.errors import BridgeError


@dataclass(eq=False)
class PolicyError(BridgeError):
    """What a rule of the policy does not allow. Nothing was sent, and nothing is counted.

    Attributes:
        rule: the rule, with its place in the file.
    """

    rule: str = ""
