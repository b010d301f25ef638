"""The error of a call that a policy refuses; separate from the rules, which only a service imports."""

from dataclasses import dataclass

from databricks_responses_mcp.errors import BridgeError


@dataclass(eq=False)
class PolicyError(BridgeError):
    """The refusal of a call by a rule of the policy. Nothing was sent, and nothing is counted.

    Attributes:
        rule: the rule, with its place in the file.
    """

    rule: str = ""
