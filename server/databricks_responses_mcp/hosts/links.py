"""One-click links that register the server with a host: in the host's own URL scheme, and through a web page.

The formats come from the hosts' documentation and from the badges of widely used servers.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from databricks_responses_mcp.hosts.entry_formats import make_inputs, plain
from databricks_responses_mcp.hosts.server_info import SERVER, Launch


@dataclass(frozen=True, slots=True)
class Link:
    """A one-click link.

    Attributes:
        app: opens the host directly.
        web: opens it through a web page, for places that accept only https, such as a README.
    """

    app: str
    web: str


LinkMaker = Callable[[str, Launch, Sequence[str]], Link]


def make_vscode_link(name: str, launch: Launch, forwarded: Sequence[str] = (), *, scheme: str = "vscode") -> Link:
    """Return the link of VS Code; ``vscode-insiders`` is the scheme of its Insiders edition."""
    entry: dict[str, Any] = {"name": name, **plain(reference="${input:name}").write(name, launch, forwarded)}
    if forwarded:
        entry["inputs"] = list(make_inputs(forwarded).items)
    app = f"{scheme}:mcp/install?{_encode(_json(entry))}"
    return Link(app, f"https://insiders.vscode.dev/redirect?url={_encode(app)}")


def make_cursor_link(name: str, launch: Launch, forwarded: Sequence[str] = ()) -> Link:
    """Return the link of Cursor."""
    query = _named_config(name, _base64(plain(reference="${env:NAME}").write(name, launch, forwarded)))
    return Link(f"cursor://anysphere.cursor-deeplink/mcp/install?{query}", f"https://cursor.com/en/install-mcp?{query}")


def make_lm_studio_link(name: str, launch: Launch, _forwarded: Sequence[str] = ()) -> Link:
    """Return the link of LM Studio."""
    query = _named_config(name, _base64(plain().write(name, launch, ())))
    return Link(f"lmstudio://add_mcp?{query}", f"https://lmstudio.ai/install-mcp?{query}")


def make_kiro_link(name: str, launch: Launch, forwarded: Sequence[str] = ()) -> Link:
    """Return the link of Kiro, which has only a web page."""
    query = _named_config(name, _json(plain(reference="${NAME}").write(name, launch, forwarded)))
    page = f"https://kiro.dev/launch/mcp/add?{query}"
    return Link(page, page)


def make_goose_link(name: str, launch: Launch, forwarded: Sequence[str] = ()) -> Link:
    """Return the link of goose, which prompts for each variable; a link cannot contain values."""
    described = {variable.name: variable.title for variable in SERVER.variables}
    asked = [*launch.env, *(variable for variable in forwarded if variable not in launch.env)]
    pairs = [
        ("cmd", launch.command),
        *(("arg", argument) for argument in launch.args),
        ("timeout", "300"),
        ("id", name),
        ("name", SERVER.title),
        ("description", SERVER.summary),
        *(("env", f"{variable}={described.get(variable, variable)}") for variable in asked),
    ]
    query = urlencode(pairs, quote_via=quote)
    return Link(f"goose://extension?{query}", f"https://block.github.io/goose/extension?{query}")


def _named_config(name: str, config: str) -> str:
    return f"name={_encode(name)}&config={_encode(config)}"


def _json(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False)


def _base64(entry: Mapping[str, Any]) -> str:
    return b64encode(_json(entry).encode()).decode()


def _encode(text: str) -> str:
    return quote(text, safe="")
