"""Settings of a service for a team: environment variables that only ``serve --http`` reads."""

import os
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.settings import SERVICE_PREFIX, read_model, wrong_settings


class ServiceSettings(BaseModel):
    """The settings of a service, validated; they never change. Build it with `load_service_settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def load_service_settings(environ: Mapping[str, str] = os.environ, *, secrets: SecretValues) -> ServiceSettings:
    """Read the settings ``RESPONSES_MCP_SERVICE_*`` from the environment.

    Args:
        secrets: what must not be shown in an error.

    Raises:
        BridgeError: ``invalid_argument``, naming every wrong value and every unknown name.
    """
    settings, problems = read_model(ServiceSettings, environ, SERVICE_PREFIX)
    if settings is None or problems:
        raise wrong_settings(problems, secrets)
    return settings
