"""The service for a team as a Databricks App: what ``databricks bundle deploy`` and ``databricks apps deploy`` read.

The same environment is in ``app.yaml`` and in the bundle, so both are made here of one list.
"""

from dataclasses import dataclass

from databricks_responses_mcp.hosts.server_info import RELEASED, SERVER
from generating.rendering import as_text

FOLDER = "manifests/databricks-app"

APP_NAME = "mcp-databricks-models"
"""AI Playground and agents offer apps whose name begins with ``mcp-`` as MCP servers."""

EXTRAS = "postgres,telemetry"

USER_SCOPES = {
    "model-serving": "to ask models",
    "serving.serving-endpoints": "to list the models",
    "ai-gateway": "to ask the models of Unity Gateway",
    "files.files": "to write pictures to the volume, and to read them",
}
"""What the app may do with the token of a user, and what for."""

_SOURCE_FOLDER = "/app/python/source_code"
"""Where the platform puts the files of an app."""


@dataclass(frozen=True, slots=True)
class EnvVariable:
    """A variable of the app's environment.

    Attributes:
        about: the comment above it.
        value: its value; "" if it comes from a resource.
        source: the resource of the app that it comes from.
    """

    name: str
    about: str
    value: str = ""
    source: str = ""

    def lines(self, indent: str, source_key: str) -> list[str]:
        """Return it as YAML; ``source_key`` is the key of `source`, which app.yaml and the bundle write differently."""
        given = f'value: "{self.value}"' if self.value else f'{source_key}: "{self.source}"'
        return [f"{indent}# {self.about}", f"{indent}- name: {self.name}", f"{indent}  {given}"]


ENVIRONMENT = (
    EnvVariable(
        "RESPONSES_MCP_STORE",
        "Conversations, running calls and usage are in the Lakebase database below.",
        value="lakebase",
    ),
    EnvVariable(
        "RESPONSES_MCP_SERVICE_LAKEBASE_ENDPOINT",
        "It issues a credential for each connection. The platform sets PGHOST, PGUSER and PGDATABASE.",
        source="postgres",
    ),
    EnvVariable(
        "RESPONSES_MCP_SERVICE_PICTURES",
        "/Volumes/CATALOG/SCHEMA/VOLUME; each user has a folder there, written with the user's token.",
        source="pictures",
    ),
    EnvVariable(
        "RESPONSES_MCP_SERVICE_STATE_KEYS",
        "The same on all replicas; see docs/team.md for how to replace a key.",
        source="state-keys",
    ),
    EnvVariable(
        "RESPONSES_MCP_SERVICE_POLICY",
        "What each user may do, budgets and rates; the file is next to app.yaml.",
        value=f"{_SOURCE_FOLDER}/policy.toml",
    ),
    EnvVariable(
        "RESPONSES_MCP_SERVICE_AUDIT",
        "Each call is recorded, without its text, in the table audit of the database.",
        value="table",
    ),
)


def app_files(*, released: bool = RELEASED) -> dict[str, bytes]:
    """Return the files of the app; only ``policy.toml`` is to be edited."""
    return {
        "app.yaml": _app(),
        "databricks.yml": _bundle(),
        "manifest.yaml": _manifest(),
        "requirements.txt": _requirements(released),
        "policy.toml": _policy(),
    }


def _made(*more: str) -> list[str]:
    return ["# Made by scripts/manifests/generate.py. docs/team.md explains every step.", *more]


def _command(indent: str) -> str:
    return f'{indent}command: ["{SERVER.distribution}", "serve"]'


def _app() -> bytes:
    return as_text(
        *_made(),
        _command(""),
        "env:",
        *(line for variable in ENVIRONMENT for line in variable.lines("  ", "valueFrom")),
    )


def _bundle() -> bytes:
    return as_text(
        *_made(
            "# Variables without a default are given by --var NAME=VALUE, or by BUNDLE_VAR_NAME in the environment.",
        ),
        "bundle:",
        f"  name: {APP_NAME}",
        "",
        "variables:",
        "  app_name:",
        "    description: Name of the app. AI Playground lists those whose name begins with mcp- as MCP servers.",
        f"    default: {APP_NAME}",
        "  lakebase_branch:",
        "    description: Lakebase branch (autoscaling), projects/PROJECT/branches/BRANCH.",
        "  lakebase_database:",
        "    description: Database of that branch, projects/PROJECT/branches/BRANCH/databases/DATABASE.",
        "  pictures_volume:",
        "    description: Unity Catalog volume of the pictures, CATALOG.SCHEMA.VOLUME. Users need READ VOLUME "
        "and WRITE VOLUME.",
        "  secret_scope:",
        "    description: Secret scope that has the key state-keys.",
        f"    default: {SERVER.distribution}",
        "  telemetry_schema:",
        "    description: Unity Catalog schema of the tables of logs, metrics and traces, CATALOG.SCHEMA.",
        "",
        "# The wheel that requirements.txt names is ignored by git, and must be uploaded.",
        "sync:",
        "  include:",
        '    - "*.whl"',
        "",
        "resources:",
        "  apps:",
        "    service:",
        "      name: ${var.app_name}",
        f'      description: "{SERVER.summary}"',
        "      source_code_path: .",
        "      config:",
        _command("        "),
        "        env:",
        *(line for variable in ENVIRONMENT for line in variable.lines("          ", "value_from")),
        "      # What the app may do with the token of the user who calls it. Users are asked once.",
        "      user_api_scopes:",
        *(f'        - "{scope}" # {purpose}' for scope, purpose in USER_SCOPES.items()),
        "      # No serving endpoints: models are called with the user's token, so users need CAN QUERY, not the app.",
        "      resources:",
        "        - name: postgres",
        '          description: "Conversations, running calls, usage and the audit log."',
        "          postgres:",
        "            branch: ${var.lakebase_branch}",
        "            database: ${var.lakebase_database}",
        "            permission: CAN_CONNECT_AND_CREATE",
        "        # A permission each: WRITE_VOLUME does not include READ_VOLUME.",
        "        - name: pictures",
        '          description: "Pictures of the users."',
        "          uc_securable:",
        "            securable_full_name: ${var.pictures_volume}",
        "            securable_type: VOLUME",
        "            permission: WRITE_VOLUME",
        "        - name: pictures-read",
        '          description: "Pictures of the users."',
        "          uc_securable:",
        "            securable_full_name: ${var.pictures_volume}",
        "            securable_type: VOLUME",
        "            permission: READ_VOLUME",
        "        - name: state-keys",
        '          description: "Seals the state that a client returns with the answers of its user."',
        "          secret:",
        "            scope: ${var.secret_scope}",
        "            key: state-keys",
        "            permission: READ",
        "      compute_size: MEDIUM",
        "      compute_min_instances: 2",
        "      compute_max_instances: 4",
        "      telemetry_export_destinations:",
        "        - unity_catalog:",
        "            logs_table: ${var.telemetry_schema}.mcp_logs",
        "            metrics_table: ${var.telemetry_schema}.mcp_metrics",
        "            traces_table: ${var.telemetry_schema}.mcp_traces",
        "",
        "targets:",
        "  prod:",
        "    default: true",
        "    mode: production",
        "    workspace:",
        "      # Whoever can write there can change what runs with the users' tokens: no shared folder.",
        "      root_path: /Workspace/Users/${workspace.current_user.userName}/.bundle/${bundle.name}/${bundle.target}",
    )


def _manifest() -> bytes:
    return as_text(
        *_made(),
        "version: 1",
        f'name: "{SERVER.title}"',
        f'description: "{SERVER.summary}"',
        "",
        "resource_specs:",
        "  - name: postgres",
        '    description: "Conversations, running calls, usage and the audit log."',
        "    postgres_spec:",
        "      permission: CAN_CONNECT_AND_CREATE",
        "  - name: pictures",
        '    description: "Pictures of the users."',
        "    uc_securable_spec:",
        "      securable_type: VOLUME",
        "      permission: WRITE_VOLUME",
        "  - name: pictures-read",
        '    description: "Pictures of the users."',
        "    uc_securable_spec:",
        "      securable_type: VOLUME",
        "      permission: READ_VOLUME",
        "  - name: state-keys",
        '    description: "Seals the state that a client returns with the answers of its user."',
        "    secret_spec:",
        "      permission: READ",
        "",
        "user_api_scopes:",
        *(f'  - "{scope}"' for scope in USER_SCOPES),
    )


def _requirements(released: bool) -> bytes:
    if released:
        return as_text(*_made(), f"{SERVER.distribution}[{EXTRAS}]=={SERVER.version}")
    wheel = f"{SERVER.distribution.replace('-', '_')}-{SERVER.version}-py3-none-any.whl"
    return as_text(
        *_made(
            "# Not on PyPI yet. Make the wheel in the folder of the source: pip wheel --no-deps -w " + FOLDER + " ."
        ),
        f"./{wheel}[{EXTRAS}]",
    )


def _policy() -> bytes:
    return as_text(
        "# What the users of the service may do; see docs/policy.md. Edit it, and deploy again.",
        "# Whom users ask; part of every refusal.",
        'contact = "the owners of this app"',
        "",
        "[default]",
        "tokens_per_day = 500000",
        "requests_per_minute = 20",
        "concurrent_calls = 4",
        "",
        "# Limits of all users together.",
        "[total]",
        "tokens_per_day = 20000000",
        "concurrent_calls = 60",
    )
