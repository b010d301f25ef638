"""The one-click links: a badge for each host that has one."""

from urllib.parse import quote

from databricks_responses_mcp.hosts import links
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import RELEASED, SERVER, ready_launch

_COLOURS = {"VS Code": "0098FF", "VS Code Insiders": "24bfa5", "Cursor": "000000", "goose": "32353b"}
_COLOUR = "5b4ee5"


def one_click(*, released: bool = RELEASED) -> dict[str, str]:
    """Return the web address behind each badge, by the host's title; nothing before the release.

    A click would register the command by its bare name, which a host of the desktop seldom finds.
    """
    found: dict[str, str] = {}
    launch = ready_launch(released=released)
    for host in HOSTS:
        if not released or (link := host.make_install_link(launch)) is None:
            continue
        found[host.title] = link.web
        if host.key == "vscode":
            insiders = links.make_vscode_link(SERVER.key, launch, scheme="vscode-insiders")
            found[f"{host.title} Insiders"] = insiders.web
    return found


def badges(*, released: bool = RELEASED) -> str:
    """Return the badges, in Markdown; before the release, a line that says when there will be some."""
    if not released:
        return (
            "*Not released on PyPI yet: install from source, as shown below. One-click badges come with the release.*"
        )
    clicks = one_click(released=released)
    return "\n".join(f"[![Install in {title}]({_picture(title)})]({link})" for title, link in clicks.items())


def _picture(title: str) -> str:
    label = quote(title.replace("-", "--").replace(" ", "_"), safe="")
    return f"https://img.shields.io/badge/{label}-install-{_COLOURS.get(title, _COLOUR)}?style=flat-square"
