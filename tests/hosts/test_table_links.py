"""One-click links contain the same entry as the host's configuration file."""

import json
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.registry import HOSTS, find_host
from databricks_responses_mcp.hosts.server_info import Launch

LAUNCH = Launch(
    command="/opt/bin/databricks-responses-mcp", args=("--embedded",), env={"DATABRICKS_CONFIG_PROFILE": "dev"}
)
TOKEN = ("DATABRICKS_TOKEN",)


def host(key: str) -> Host:
    found = find_host(key)
    assert found is not None
    return found


def test_one_click_links() -> None:
    launch = Launch(command="uvx", args=("databricks-responses-mcp",))
    links = {known.key: link for known in HOSTS if (link := known.make_install_link(launch)) is not None}
    assert {key: (link.app, link.web) for key, link in links.items()} == snapshot(
        {
            "vscode": (
                "vscode:mcp/install?%7B%22name%22%3A%22databricks%22%2C%22command%22%3A%22uvx%22%2C%22args%22%3A%5B%22databricks-responses-mcp%22%5D%7D",
                "https://insiders.vscode.dev/redirect?url=vscode%3Amcp%2Finstall%3F%257B%2522name%2522%253A%2522databricks%2522%252C%2522command%2522%253A%2522uvx%2522%252C%2522args%2522%253A%255B%2522databricks-responses-mcp%2522%255D%257D",
            ),
            "cursor": (
                "cursor://anysphere.cursor-deeplink/mcp/install?name=databricks&config=eyJjb21tYW5kIjoidXZ4IiwiYXJncyI6WyJkYXRhYnJpY2tzLXJlc3BvbnNlcy1tY3AiXX0%3D",
                "https://cursor.com/en/install-mcp?name=databricks&config=eyJjb21tYW5kIjoidXZ4IiwiYXJncyI6WyJkYXRhYnJpY2tzLXJlc3BvbnNlcy1tY3AiXX0%3D",
            ),
            "goose": (
                "goose://extension?cmd=uvx&arg=databricks-responses-mcp&timeout=300&id=databricks&name=Databricks%20models&description=Ask%20the%20models%20of%20a%20Databricks%20workspace%2C%20and%20generate%20images%2C%20through%20the%20OpenAI%20Responses%20API.",
                "https://block.github.io/goose/extension?cmd=uvx&arg=databricks-responses-mcp&timeout=300&id=databricks&name=Databricks%20models&description=Ask%20the%20models%20of%20a%20Databricks%20workspace%2C%20and%20generate%20images%2C%20through%20the%20OpenAI%20Responses%20API.",
            ),
            "lm-studio": (
                "lmstudio://add_mcp?name=databricks&config=eyJjb21tYW5kIjoidXZ4IiwiYXJncyI6WyJkYXRhYnJpY2tzLXJlc3BvbnNlcy1tY3AiXX0%3D",
                "https://lmstudio.ai/install-mcp?name=databricks&config=eyJjb21tYW5kIjoidXZ4IiwiYXJncyI6WyJkYXRhYnJpY2tzLXJlc3BvbnNlcy1tY3AiXX0%3D",
            ),
            "kiro": (
                "https://kiro.dev/launch/mcp/add?name=databricks&config=%7B%22command%22%3A%22uvx%22%2C%22args%22%3A%5B%22databricks-responses-mcp%22%5D%7D",
                "https://kiro.dev/launch/mcp/add?name=databricks&config=%7B%22command%22%3A%22uvx%22%2C%22args%22%3A%5B%22databricks-responses-mcp%22%5D%7D",
            ),
        }
    )


def test_a_link_contains_the_entry_that_install_would_write() -> None:
    def handed(key: str) -> Any:
        link = host(key).make_install_link(LAUNCH, forwarded=TOKEN)
        assert link is not None
        query = parse_qs(urlsplit(link.app).query)
        if key == "vscode":
            assert unquote(link.web.partition("?url=")[2]) == link.app
            return json.loads(unquote(urlsplit(link.app).query))
        config = query["config"][0]
        return json.loads(config if key == "kiro" else b64decode(config))

    assert {key: handed(key) for key in ("vscode", "cursor", "lm-studio", "kiro")} == snapshot(
        {
            "vscode": {
                "name": "databricks",
                "command": "/opt/bin/databricks-responses-mcp",
                "args": ["--embedded"],
                "env": {"DATABRICKS_CONFIG_PROFILE": "dev", "DATABRICKS_TOKEN": "${input:databricks_token}"},
                "inputs": [
                    {"type": "promptString", "id": "databricks_token", "description": "Access token", "password": True}
                ],
            },
            "cursor": {
                "command": "/opt/bin/databricks-responses-mcp",
                "args": ["--embedded"],
                "env": {"DATABRICKS_CONFIG_PROFILE": "dev", "DATABRICKS_TOKEN": "${env:DATABRICKS_TOKEN}"},
            },
            "lm-studio": {
                "command": "/opt/bin/databricks-responses-mcp",
                "args": ["--embedded"],
                "env": {"DATABRICKS_CONFIG_PROFILE": "dev"},
            },
            "kiro": {
                "command": "/opt/bin/databricks-responses-mcp",
                "args": ["--embedded"],
                "env": {"DATABRICKS_CONFIG_PROFILE": "dev", "DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}"},
            },
        }
    )
