"""How a command reaches a workspace, as its options say."""

from dataclasses import dataclass, field

from databricks_responses_mcp.workspace.secret_values import SecretValues


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a command reaches a workspace.

    Attributes:
        overrides: settings given as options, by setting name.
        embedded: start a workspace on this machine instead of using a real one.
        engine: the engine of the embedded workspace; None selects one.
        secrets: values that the command's output must not show.
    """

    overrides: dict[str, object]
    embedded: bool
    engine: str | None
    secrets: SecretValues = field(default_factory=SecretValues)
