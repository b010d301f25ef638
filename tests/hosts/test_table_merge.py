"""Registering the server in existing files changes only the entry, and can be undone."""

from difflib import unified_diff

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.registration import list_servers, register, unregister
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import Launch

LAUNCH = Launch(command="/opt/bin/databricks-responses-mcp", env={"DATABRICKS_CONFIG_PROFILE": "dev"})

EXISTING = {
    "claude-desktop": '{\n  "globalShortcut": "Alt+Space",\n  "mcpServers": {}\n}\n',
    "claude-code": (
        '{\n  "numStartups": 12,\n  "projects": {"/home/me/x": {"history": [], "mcpServers": {}}},\n'
        '  "mcpServers": {\n    "github": {"type": "http", "url": "https://api.githubcopilot.com/mcp/"}\n  },\n'
        '  "userID": "5f2a"\n}'
    ),
    "vscode": (
        "{\n\t// Servers of mine\n"
        '\t"servers": {\n\t\t"files": {"command": "npx", "args": ["-y", "files"]}, // local\n\t},\n'
        '\t"inputs": [\n\t\t{"type": "promptString", "id": "key", "description": "Key", "password": true}\n\t]\n}\n'
    ),
    "cursor": '{\r\n    "mcpServers": {\r\n        "x": {"url": "https://x/mcp"}\r\n    }\r\n}\r\n',
    "windsurf": '{"mcpServers":{"x":{"serverUrl":"https://x/mcp","headers":{"A":"${env:A}"}}}}',
    "zed": (
        "// Zed settings\n//\n{\n"
        '  "theme": {"mode": "system", /* day */ "light": "One Light"},\n'
        '  "context_servers": {},\n  "vim_mode": true,\n}\n'
    ),
    "codex": (
        'model = "gpt-5" # the big one\n\n[mcp_servers.docs]\ncommand = "npx"\nargs = ["-y", "docs"]\n\n'
        '[projects."/home/me/x"]\ntrust_level = "trusted"\n'
    ),
    "gemini-cli": '{\n  "security": {"auth": {"selectedType": "oauth-personal"}},\n  "mcpServers": {}\n}\n',
    "opencode": (
        '{\n  "$schema": "https://opencode.ai/config.json",\n  // what I use\n  "model": "anthropic/claude",\n'
        '  "mcp": {\n    "x": {"type": "remote", "url": "https://x"},\n  },\n}\n'
    ),
    "cline": (
        '{\n  "mcpServers": {\n    "x": {\n      "command": "x",\n      "autoApprove": ["a"],\n'
        '      "disabled": true\n    }\n  }\n}\n'
    ),
    "continue": (
        "name: Local Config\nversion: 1.0.0\nschema: v1\nmodels:\n  - name: Sonnet # writes well\n"
        "    provider: anthropic\nmcpServers:\n  - name: SQLite\n    command: npx\n    args: [-y, mcp-sqlite]\n"
    ),
    "goose": (
        "GOOSE_PROVIDER: databricks\nextensions:\n  developer:\n    bundled: true\n    enabled: true\n"
        "    name: developer\n    timeout: 300\n    type: builtin\n\nGOOSE_MODE: smart_approve\n"
    ),
    "lm-studio": '{\n  "mcpServers": {\n    "hf": {\n      "url": "https://huggingface.co/mcp"\n    }\n  }\n}',
    "jetbrains": '{\n    "mcpServers": {\n        "a": { "command": "a", "enabled": false }\n    }\n}\n',
    "copilot-cli": (
        '{\n  "mcpServers": {\n    "x": {"type": "local", "command": "x", "args": [], "tools": ["*"]}\n  }\n}\n'
    ),
    "kiro": (
        '{\n  "powers": {"mcpServers": {}},\n  "mcpServers": {\n    "fetch": {\n      "command": "uvx",\n'
        '      "args": ["mcp-server-fetch"],\n      "disabled": true\n    }\n  }\n}\n'
    ),
}


def merge(known: Host, forwarded: tuple[str, ...] = ()) -> str:
    forwarded = forwarded if known.resolves_variables else ()
    return register(known, EXISTING[known.key], known.make_entry(LAUNCH, forwarded=forwarded), forwarded=forwarded)


def difference(before: str, after: str) -> str:
    lines = list(unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm=""))[2:]
    return "".join(f"{line}\n" for line in lines if not line.startswith("@@")).replace("\t", "→")


def test_changes_of_existing_files() -> None:
    assert {known.key: difference(EXISTING[known.key], merge(known)) for known in HOSTS} == snapshot(
        {
            "claude-desktop": """\
   "globalShortcut": "Alt+Space",
-  "mcpServers": {}
+  "mcpServers": {
+    "databricks": {
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      }
+    }
+  }
 }
""",
            "claude-code": """\
   "mcpServers": {
-    "github": {"type": "http", "url": "https://api.githubcopilot.com/mcp/"}
+    "github": {"type": "http", "url": "https://api.githubcopilot.com/mcp/"},
+    "databricks": {
+      "type": "stdio",
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      }
+    }
   },
""",
            "vscode": """\
 →→"files": {"command": "npx", "args": ["-y", "files"]}, // local
+→→"databricks": {
+→→→"type": "stdio",
+→→→"command": "/opt/bin/databricks-responses-mcp",
+→→→"args": [],
+→→→"env": {
+→→→→"DATABRICKS_CONFIG_PROFILE": "dev"
+→→→}
+→→},
 →},
""",
            "cursor": """\
     "mcpServers": {
-        "x": {"url": "https://x/mcp"}
+        "x": {"url": "https://x/mcp"},
+        "databricks": {
+            "command": "/opt/bin/databricks-responses-mcp",
+            "args": [],
+            "env": {
+                "DATABRICKS_CONFIG_PROFILE": "dev"
+            }
+        }
     }
""",
            "windsurf": """\
-{"mcpServers":{"x":{"serverUrl":"https://x/mcp","headers":{"A":"${env:A}"}}}}
+{"mcpServers":{"x":{"serverUrl":"https://x/mcp","headers":{"A":"${env:A}"}},"databricks":{"command":"/opt/bin/databricks-responses-mcp","args":[],"env":{"DATABRICKS_CONFIG_PROFILE":"dev"}}}}
""",
            "zed": """\
   "theme": {"mode": "system", /* day */ "light": "One Light"},
-  "context_servers": {},
+  "context_servers": {
+    "databricks": {
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      },
+      "timeout": 300
+    }
+  },
   "vim_mode": true,
""",
            "codex": """\
 \n\
+[mcp_servers.databricks]
+command = "/opt/bin/databricks-responses-mcp"
+args = []
+startup_timeout_sec = 60
+tool_timeout_sec = 300
+
+[mcp_servers.databricks.env]
+DATABRICKS_CONFIG_PROFILE = "dev"
+
 [projects."/home/me/x"]
""",
            "gemini-cli": """\
   "security": {"auth": {"selectedType": "oauth-personal"}},
-  "mcpServers": {}
+  "mcpServers": {
+    "databricks": {
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      }
+    }
+  }
 }
""",
            "opencode": """\
     "x": {"type": "remote", "url": "https://x"},
+    "databricks": {
+      "type": "local",
+      "command": ["/opt/bin/databricks-responses-mcp"],
+      "environment": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      },
+      "enabled": true,
+      "timeout": 300000
+    },
   },
""",
            "cline": """\
       "disabled": true
+    },
+    "databricks": {
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      },
+      "disabled": false,
+      "timeout": 300
     }
""",
            "continue": """\
     args: [-y, mcp-sqlite]
+  - name: databricks
+    type: stdio
+    command: /opt/bin/databricks-responses-mcp
+    args: []
+    env:
+      DATABRICKS_CONFIG_PROFILE: dev
""",
            "goose": """\
     type: builtin
+  databricks:
+    enabled: true
+    type: stdio
+    name: databricks
+    description: "Ask the models of a Databricks workspace, and generate images, through the OpenAI Responses API."
+    cmd: /opt/bin/databricks-responses-mcp
+    args: []
+    envs:
+      DATABRICKS_CONFIG_PROFILE: dev
+    env_keys: []
+    timeout: 300
 \n\
""",
            "lm-studio": """\
       "url": "https://huggingface.co/mcp"
+    },
+    "databricks": {
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      }
     }
""",
            "jetbrains": """\
     "mcpServers": {
-        "a": { "command": "a", "enabled": false }
+        "a": { "command": "a", "enabled": false },
+        "databricks": {
+            "command": "/opt/bin/databricks-responses-mcp",
+            "args": [],
+            "env": {
+                "DATABRICKS_CONFIG_PROFILE": "dev"
+            }
+        }
     }
""",
            "copilot-cli": """\
   "mcpServers": {
-    "x": {"type": "local", "command": "x", "args": [], "tools": ["*"]}
+    "x": {"type": "local", "command": "x", "args": [], "tools": ["*"]},
+    "databricks": {
+      "type": "stdio",
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      },
+      "tools": ["*"],
+      "timeout": 300000
+    }
   }
""",
            "kiro": """\
       "disabled": true
+    },
+    "databricks": {
+      "command": "/opt/bin/databricks-responses-mcp",
+      "args": [],
+      "env": {
+        "DATABRICKS_CONFIG_PROFILE": "dev"
+      },
+      "disabled": false
     }
""",
        }
    )


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_line_endings_and_other_servers_are_kept(known: Host) -> None:
    before, after = EXISTING[known.key], merge(known)
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in before else 0)
    names = [server.name for server in list_servers(known, before)]
    assert sorted(server.name for server in list_servers(known, after)) == sorted([*names, "databricks"])


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
@pytest.mark.parametrize("forwarded", [(), ("DATABRICKS_TOKEN",)], ids=["profile", "token"])
def test_removing_the_entry_restores_the_file(known: Host, forwarded: tuple[str, ...]) -> None:
    before = EXISTING[known.key]
    assert unregister(known, merge(known, forwarded), original=before) == before


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_another_command_replaces_the_entry_in_place(known: Host) -> None:
    merged = merge(known)
    other = Launch(command="/opt/new/databricks-responses-mcp", env=LAUNCH.env)
    again = register(known, merged, known.make_entry(other))
    assert again == merged.replace("/opt/bin/", "/opt/new/")
