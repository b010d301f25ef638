"""The entry for each host is in the host's own format, and can be read back."""

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.limits import HOST_LIMITS
from databricks_responses_mcp.hosts.registration import RegisteredServer, list_servers, register, unregister
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import Launch

LAUNCH = Launch(
    command="/opt/bin/databricks-responses-mcp", args=("--embedded",), env={"DATABRICKS_CONFIG_PROFILE": "dev"}
)
TOKEN = ("DATABRICKS_TOKEN",)


def fresh(known: Host, forwarded: tuple[str, ...] = ()) -> str:
    entry = known.make_entry(LAUNCH, forwarded=forwarded if known.resolves_variables else ())
    return register(known, known.new_file, entry, forwarded=forwarded)


def test_new_files() -> None:
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
startup_timeout_sec = 60
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
    description: "Ask the models of a Databricks workspace, and generate images, through the OpenAI Responses API."
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


def test_a_host_that_can_fetch_a_token_gets_a_reference_to_it() -> None:
    assert {known.key: fresh(known, TOKEN) for known in HOSTS if known.resolves_variables} == snapshot(
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
      "type": "promptString",
      "id": "databricks_token",
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
startup_timeout_sec = 60
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
    description: "Ask the models of a Databricks workspace, and generate images, through the OpenAI Responses API."
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
def test_an_entry_is_read_back_as_it_was_written(known: Host) -> None:
    assert list_servers(known, fresh(known)) == [RegisteredServer("databricks", known.make_entry(LAUNCH), LAUNCH)]


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_writing_an_entry_twice_changes_nothing(known: Host) -> None:
    once = fresh(known, TOKEN)
    entry = known.make_entry(LAUNCH, forwarded=TOKEN if known.resolves_variables else ())
    assert register(known, once, entry, forwarded=TOKEN) == once


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_nothing_is_left_after_the_entry_is_removed(known: Host) -> None:
    left = unregister(known, fresh(known, TOKEN))
    assert list_servers(known, left) == []
    assert "databricks" not in left.lower()


def test_every_host_with_a_file_has_limits() -> None:
    assert {known.key for known in HOSTS} == {limits.key for limits in HOST_LIMITS}
