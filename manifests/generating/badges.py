"""The one-click links: a badge for each host that has one."""

from urllib.parse import quote

from databricks_responses_mcp.hosts import links
from databricks_responses_mcp.hosts.description import SERVER
from databricks_responses_mcp.hosts.table import HOSTS
from generating.rendering import UVX

_COLOURS = {"VS Code": "0098FF", "VS Code Insiders": "24bfa5", "Cursor": "000000", "goose": "32353b"}
_COLOUR = "5b4ee5"


def one_click() -> dict[str, str]:
    """The web address behind each badge, by the host's title."""
    found: dict[str, str] = {}
    for host in HOSTS:
        if (link := host.link(UVX)) is None:
            continue
        found[host.title] = link.web
        if host.key == "vscode":
            insiders = links.vscode(SERVER.key, UVX, scheme="vscode-insiders")
            found[f"{host.title} Insiders"] = insiders.web
    return found


def badges() -> str:
    """The badges, in Markdown."""
    return "\n".join(f"[![Install in {title}]({_picture(title)})]({link})" for title, link in one_click().items())


def _picture(title: str) -> str:
    label = quote(title.replace("-", "--").replace(" ", "_"), safe="")
    return f"https://img.shields.io/badge/{label}-install-{_COLOURS.get(title, _COLOUR)}?style=flat-square"
