"""Variables that a host's form left empty, in a way that looks as if they were set."""

import re
from collections.abc import MutableMapping

# What a host puts there for the fields of its form (MCPB bundles, Claude Code plugins).
_FIELD = re.compile(r"\$\{user_config\.[^{}]*\}")


def forget_unfilled(environ: MutableMapping[str, str]) -> None:
    """Take out each variable whose value is the name of a field: ``${user_config.token}``.

    Hosts leave that where an optional field was not filled in. The variable itself must go, for the Databricks SDK and
    child processes read the environment themselves.
    """
    for name in [name for name, value in environ.items() if _FIELD.fullmatch(value.strip())]:
        del environ[name]
