"""The table of everything here."""

from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import PORTABLE, RELEASED, SERVER
from generating.badges import one_click
from generating.claude_code import MARKETPLACE, PLUGIN
from generating.host_files import file_of, user_files
from generating.rendering import NEEDED, as_text

_IN_REGISTRY = (
    "| MCP registry | [server.json](mcp-registry/server.json) | `mcp-publisher publish` in its folder, once the "
    "version is on PyPI |"
)


def index() -> bytes:
    """``manifests/README.md``."""
    owner = SERVER.repository.removeprefix("https://github.com/")
    clicks = one_click()
    rows = []
    for host in HOSTS:
        file = file_of(host)
        project = f"`{host.project_file}`" if host.project_file else ""
        places = "<br>".join(f"`{place}`" for place in user_files(host))
        click = f"[install]({clicks[host.title]})" if host.title in clicks else ""
        rows.append(f"| {host.title} | [{file.partition('/')[2]}]({file}) | {places} | {project} | {click} |")
    return as_text(
        "# Configuration files for each host",
        "",
        "`python scripts/manifests/generate.py` generates these files from `hosts/server_info.py` and the table of "
        "hosts.",
        f"`{SERVER.distribution} install HOST` writes the same entry into the host's own file and does not change the",
        f"rest of it. The files start the server as `{' '.join(PORTABLE)}`, so {NEEDED},",
        "and sign in with the profile `DEFAULT` of `~/.databrickscfg`; they contain no secrets.",
        "",
        "| host | file | path for a user | path in a project | one click |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "## Bundles, plugins, registries",
        "",
        "| for | what | how |",
        "|---|---|---|",
        "| Claude Desktop | [bundle](claude-desktop/bundle) | `python manifests/build_mcpb.py` makes the `.mcpb`; "
        "open it with Claude Desktop |",
        "| Claude Code | [plugin](claude-code/plugin) | "
        f"`claude plugin marketplace add {owner}`, `claude plugin install {PLUGIN}@{MARKETPLACE}` |",
        f"| Codex | the same plugin | `codex plugin marketplace add {owner}`, "
        f"`codex plugin add {PLUGIN}@{MARKETPLACE}`; it has no form, so the profile `DEFAULT` is used |",
        "| Gemini CLI | [extension](gemini-cli/extension) | "
        "`gemini extensions install manifests/gemini-cli/extension` |",
        *([_IN_REGISTRY] if RELEASED else []),
        f"| Docker | [Dockerfile](../Dockerfile) | `docker build -t {SERVER.distribution} .` |",
        "| Docker Compose | [compose.yaml](docker/compose.yaml) | a team's service with PostgreSQL, two replicas and "
        "nginx: [how](../docs/team.md#with-docker-compose) |",
        "| Databricks Apps | [app](databricks-app) | a team's service with Lakebase and a volume: "
        "[how](../docs/team.md#on-databricks-apps) |",
        f"| Docker's MCP catalog | [entry](docker) | goes to `servers/{SERVER.distribution}` there, with the released "
        "commit in `source.commit` |",
    )
