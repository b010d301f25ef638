"""What each host is given: a file of its own form, which it can also be read back from."""

import json
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.description import Launch
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.limits import KNOWN
from databricks_responses_mcp.hosts.registration import Registered, merged, register, servers, unregister
from databricks_responses_mcp.hosts.table import HOSTS, find_host

LAUNCH = Launch(
    command="/opt/bin/databricks-responses-mcp", args=("--embedded",), env={"DATABRICKS_CONFIG_PROFILE": "dev"}
)
TOKEN = ("DATABRICKS_TOKEN",)


def host(key: str) -> Host:
    found = find_host(key)
    assert found is not None
    return found


def fresh(known: Host, forwarded: tuple[str, ...] = ()) -> str:
    entry = known.entry(LAUNCH, forwarded=forwarded if known.refers else ())
    return register(known, known.new_file, entry, forwarded=forwarded)


def test_files_that_were_not_there_yet() -> None:
    assert {known.key: fresh(known) for known in HOSTS} == snapshot(
        {
            "claude-desktop": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "claude-code": """\
{
  "mcpServers": {
    "databricks": {
      "type": "stdio",
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "vscode": """\
{
  "servers": {
    "databricks": {
      "type": "stdio",
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "cursor": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "windsurf": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "zed": """\
{
  "context_servers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      },
      "timeout": 300
    }
  }
}
""",
            "codex": """\
[mcp_servers.databricks]
command = "/opt/bin/databricks-responses-mcp"
args = ["--embedded"]
tool_timeout_sec = 300

[mcp_servers.databricks.env]
DATABRICKS_CONFIG_PROFILE = "dev"
""",
            "gemini-cli": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "opencode": """\
{
  "mcp": {
    "databricks": {
      "type": "local",
      "command": ["/opt/bin/databricks-responses-mcp", "--embedded"],
      "environment": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      },
      "enabled": true,
      "timeout": 300000
    }
  }
}
""",
            "cline": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      },
      "disabled": false,
      "timeout": 300
    }
  }
}
""",
            "continue": """\
name: Local Config
version: 1.0.0
schema: v1
mcpServers:
  - name: databricks
    type: stdio
    command: /opt/bin/databricks-responses-mcp
    args:
      - "--embedded"
    env:
      DATABRICKS_CONFIG_PROFILE: dev
""",
            "goose": """\
extensions:
  databricks:
    enabled: true
    type: stdio
    name: databricks
    description: "Ask, and draw with, the models of a Databricks workspace, through the OpenAI Responses API."
    cmd: /opt/bin/databricks-responses-mcp
    args:
      - "--embedded"
    envs:
      DATABRICKS_CONFIG_PROFILE: dev
    env_keys: []
    timeout: 300
""",
            "lm-studio": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "jetbrains": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
""",
            "copilot-cli": """\
{
  "mcpServers": {
    "databricks": {
      "type": "stdio",
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      },
      "tools": ["*"],
      "timeout": 300000
    }
  }
}
""",
            "kiro": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      },
      "disabled": false
    }
  }
}
""",
        }
    )


def test_a_token_is_fetched_by_the_host_where_it_can() -> None:
    assert {known.key: fresh(known, TOKEN) for known in HOSTS if known.refers} == snapshot(
        {
            "claude-code": """\
{
  "mcpServers": {
    "databricks": {
      "type": "stdio",
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}"
      }
    }
  }
}
""",
            "vscode": """\
{
  "servers": {
    "databricks": {
      "type": "stdio",
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "${input:databricks_token}"
      }
    }
  },
  "inputs": [
    {
      "id": "databricks_token",
      "type": "promptString",
      "description": "Access token",
      "password": true
    }
  ]
}
""",
            "cursor": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "${env:DATABRICKS_TOKEN}"
      }
    }
  }
}
""",
            "windsurf": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "${env:DATABRICKS_TOKEN}"
      }
    }
  }
}
""",
            "codex": """\
[mcp_servers.databricks]
command = "/opt/bin/databricks-responses-mcp"
args = ["--embedded"]
env_vars = ["DATABRICKS_TOKEN"]
tool_timeout_sec = 300

[mcp_servers.databricks.env]
DATABRICKS_CONFIG_PROFILE = "dev"
""",
            "gemini-cli": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "$DATABRICKS_TOKEN"
      }
    }
  }
}
""",
            "opencode": """\
{
  "mcp": {
    "databricks": {
      "type": "local",
      "command": ["/opt/bin/databricks-responses-mcp", "--embedded"],
      "environment": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "{env:DATABRICKS_TOKEN}"
      },
      "enabled": true,
      "timeout": 300000
    }
  }
}
""",
            "continue": """\
name: Local Config
version: 1.0.0
schema: v1
mcpServers:
  - name: databricks
    type: stdio
    command: /opt/bin/databricks-responses-mcp
    args:
      - "--embedded"
    env:
      DATABRICKS_CONFIG_PROFILE: dev
      DATABRICKS_TOKEN: "${{ secrets.DATABRICKS_TOKEN }}"
""",
            "goose": """\
extensions:
  databricks:
    enabled: true
    type: stdio
    name: databricks
    description: "Ask, and draw with, the models of a Databricks workspace, through the OpenAI Responses API."
    cmd: /opt/bin/databricks-responses-mcp
    args:
      - "--embedded"
    envs:
      DATABRICKS_CONFIG_PROFILE: dev
    env_keys:
      - DATABRICKS_TOKEN
    timeout: 300
""",
            "copilot-cli": """\
{
  "mcpServers": {
    "databricks": {
      "type": "stdio",
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}"
      },
      "tools": ["*"],
      "timeout": 300000
    }
  }
}
""",
            "kiro": """\
{
  "mcpServers": {
    "databricks": {
      "command": "/opt/bin/databricks-responses-mcp",
      "args": ["--embedded"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}"
      },
      "disabled": false
    }
  }
}
""",
        }
    )


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_an_entry_is_read_back_as_what_was_written(known: Host) -> None:
    assert servers(known, fresh(known)) == [Registered("databricks", known.entry(LAUNCH), LAUNCH)]


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_writing_twice_is_writing_once(known: Host) -> None:
    once = fresh(known, TOKEN)
    entry = known.entry(LAUNCH, forwarded=TOKEN if known.refers else ())
    assert register(known, once, entry, forwarded=TOKEN) == once


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_nothing_of_ours_is_left_when_it_is_taken_out(known: Host) -> None:
    left = unregister(known, fresh(known, TOKEN))
    assert servers(known, left) == []
    assert "databricks" not in left.lower()


def test_a_question_that_another_server_still_asks_stays() -> None:
    vscode = host("vscode")
    other = {"command": "x", "env": {"T": "${input:databricks_token}"}}
    text = register(vscode, fresh(vscode, TOKEN), other, name="other")
    assert json.loads(unregister(vscode, text))["inputs"] == snapshot(
        [{"id": "databricks_token", "type": "promptString", "description": "Access token", "password": True}]
    )
    assert json.loads(unregister(vscode, unregister(vscode, text), name="other")).get("inputs", []) == []


def test_what_a_user_added_by_hand_outlives_a_new_registration() -> None:
    old = {
        "command": "old",
        "args": ["--embedded"],
        "env": {"DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}", "RESPONSES_MCP_MODEL": "m", "DATABRICKS_HOST": "h"},
        "autoApprove": ["ask_databricks_model"],
        "disabled": True,
    }
    new = host("kiro").entry(Launch(command="new", env={"DATABRICKS_CONFIG_PROFILE": "dev"}))
    assert merged(old, new) == snapshot(
        {
            "command": "new",
            "args": [],
            "env": {"RESPONSES_MCP_MODEL": "m", "DATABRICKS_CONFIG_PROFILE": "dev"},
            "disabled": False,
            "autoApprove": ["ask_databricks_model"],
        }
    )
    assert merged(None, new) == new


def test_variables_of_an_old_sign_in_do_not_outlive_it() -> None:
    old = host("codex").entry(Launch(command="old", env={"DATABRICKS_HOST": "h"}), forwarded=TOKEN)
    assert merged(old, host("codex").entry(Launch(command="new"))) == snapshot(
        {"command": "new", "args": [], "tool_timeout_sec": 300}
    )


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (("databricks-responses-mcp",), True),
        (("/opt/bin/databricks-responses-mcp", "--embedded"), True),
        ((r"C:\Tools\databricks-responses-mcp.exe",), True),
        (("uvx", "databricks-responses-mcp"), True),
        (("uvx", "databricks-responses-mcp@0.1.0"), True),
        (("uvx", "--from", "databricks-responses-mcp==1.0", "databricks-responses-mcp"), True),
        (("python", "-m", "databricks_responses_mcp"), True),
        (("docker", "run", "-i", "ghcr.io/me/databricks-responses-mcp:1.0"), True),
        (("uvx", "databricks-mcp-server"), False),
        (("/src/databricks-responses-mcp/venv/bin/python", "other.py"), False),
        (("node", "/src/databricks-responses-mcp/other.js"), False),
    ],
)
def test_this_server_is_told_from_others(command: tuple[str, ...], ours: bool) -> None:
    launch = Launch(command=command[0], args=command[1:])
    assert Registered("databricks", {}, launch).is_ours is ours


def test_a_server_that_is_reached_by_an_address_is_not_ours() -> None:
    text = '{"mcpServers": {"databricks": {"type": "http", "url": "https://x/databricks-responses-mcp"}}}'
    (found,) = servers(host("cursor"), text)
    assert (found.launch, found.is_ours) == (None, False)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("cursor", '{"mcpServers": ["a", 1]}'),
        ("cursor", '{"mcpServers": {"a": 1, "b": {"command": ["x"]}, "c": {"command": ""}}}'),
        ("opencode", '{"mcp": {"a": {"command": []}, "b": {"command": "x"}}}'),
        ("continue", "mcpServers: [1, {command: x, args: 3}]"),
        ("goose", "extensions: {a: {type: builtin}}"),
        ("codex", 'mcp_servers = "none"'),
        ("zed", ""),
    ],
)
def test_odd_files_hold_no_server_of_ours(key: str, text: str) -> None:
    assert [server for server in servers(host(key), text) if server.is_ours] == []


def test_one_click_links() -> None:
    launch = Launch(command="uvx", args=("databricks-responses-mcp",))
    links = {known.key: link for known in HOSTS if (link := known.link(launch)) is not None}
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
                "goose://extension?cmd=uvx&arg=databricks-responses-mcp&timeout=300&id=databricks&name=Databricks%20models&description=Ask%2C%20and%20draw%20with%2C%20the%20models%20of%20a%20Databricks%20workspace%2C%20through%20the%20OpenAI%20Responses%20API.",
                "https://block.github.io/goose/extension?cmd=uvx&arg=databricks-responses-mcp&timeout=300&id=databricks&name=Databricks%20models&description=Ask%2C%20and%20draw%20with%2C%20the%20models%20of%20a%20Databricks%20workspace%2C%20through%20the%20OpenAI%20Responses%20API.",
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


def test_what_a_link_hands_over_is_what_the_host_would_be_given() -> None:
    def handed(key: str) -> Any:
        link = host(key).link(LAUNCH, forwarded=TOKEN)
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


def test_every_host_with_a_file_has_limits() -> None:
    assert {known.key for known in HOSTS} == {limits.key for limits in KNOWN}
