"""Files as hosts and their users write them, before and after an edit."""

from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing import Format, Named, Place, read_entry, remove_entry, set_entry

ENTRY: dict[str, Any] = {
    "command": "uvx",
    "args": ["databricks-responses-mcp"],
    "env": {"DATABRICKS_CONFIG_PROFILE": "DEFAULT"},
}

CLAUDE_DESKTOP = """\
{
  "globalShortcut": "Alt+Space",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/me"]
    }
  }
}
"""

VSCODE = """\
{
\t// Servers of the team
\t"servers": {
\t\t"github": {
\t\t\t"type": "http",
\t\t\t"url": "https://api.githubcopilot.com/mcp/", // their own
\t\t},
\t\t/* "old": { "command": "x" }, */
\t},
\t"inputs": [],
}
"""

ZED = """\
// Zed settings
//
// For information on how to configure Zed, see the documentation.
{
  "theme": { "mode": "system", "light": "One Light", "dark": "One Dark" },
  // "vim_mode": true,
  "ui_font_size": 16 // a little larger
}
"""

CODEX = """\
# Codex
model = "gpt-5"   # the newest

[mcp_servers.docs]
command = "npx"
args = [
  "-y",  # no questions
  "docs-mcp",
]

[mcp_servers.docs.env]
"API.KEY" = '1'
# OTHER = "2"

# What it may do
[projects."/home/me/work"]
trust_level = "trusted"
"""

GOOSE = """\
GOOSE_PROVIDER: databricks
extensions:
  developer:
    enabled: true
    type: builtin
    name: developer  # comes with it
    timeout: 300
    bundled: true
    description: 'A long line that a writer which reflows would certainly wrap, as it is wider than eighty columns.'
GOOSE_MODEL: "goose-gpt-5"
"""

CONTINUE = """\
name: Local Assistant
version: 1.0.0
schema: v1
models:
  - name: GPT
    provider: openai
    apiKey: ${{ secrets.KEY }}
mcpServers:
  - name: sqlite
    command: npx
    args:
      - "-y"
      - mcp-sqlite
# rules follow
rules:
  - |
    Be brief.

    Be right.
"""


def check(text: str, format: Format, place: Place, entry: dict[str, Any] = ENTRY) -> str:  # noqa: A002
    """Return the text with the entry; removing it must restore the original text."""
    after = set_entry(text, format, place, entry)
    assert read_entry(after, format, place) == entry
    assert set_entry(after, format, place, entry) == after
    assert remove_entry(after, format, place) == text
    return after


def test_claude_desktop() -> None:
    assert check(CLAUDE_DESKTOP, "json", ("mcpServers", "databricks")) == snapshot("""\
{
  "globalShortcut": "Alt+Space",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/me"]
    },
    "databricks": {
      "command": "uvx",
      "args": ["databricks-responses-mcp"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "DEFAULT"
      }
    }
  }
}
""")


def test_vscode() -> None:
    after = check(VSCODE, "json", ("servers", "databricks"))
    asked = {"type": "promptString", "id": "databricks_token", "description": "Access token", "password": True}
    assert check(after, "json", ("inputs", Named("id", "databricks_token")), asked) == snapshot("""\
{
	// Servers of the team
	"servers": {
		"github": {
			"type": "http",
			"url": "https://api.githubcopilot.com/mcp/", // their own
		},
		"databricks": {
			"command": "uvx",
			"args": ["databricks-responses-mcp"],
			"env": {
				"DATABRICKS_CONFIG_PROFILE": "DEFAULT"
			}
		},
		/* "old": { "command": "x" }, */
	},
	"inputs": [
		{
			"type": "promptString",
			"id": "databricks_token",
			"description": "Access token",
			"password": true
		}
	],
}
""")


def test_zed() -> None:
    after = set_entry(ZED, "json", ("context_servers", "databricks"), ENTRY)
    assert after == snapshot("""\
// Zed settings
//
// For information on how to configure Zed, see the documentation.
{
  "theme": { "mode": "system", "light": "One Light", "dark": "One Dark" },
  // "vim_mode": true,
  "ui_font_size": 16, // a little larger
  "context_servers": {
    "databricks": {
      "command": "uvx",
      "args": ["databricks-responses-mcp"],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "DEFAULT"
      }
    }
  }
}
""")
    assert remove_entry(after, "json", ("context_servers", "databricks")) == snapshot("""\
// Zed settings
//
// For information on how to configure Zed, see the documentation.
{
  "theme": { "mode": "system", "light": "One Light", "dark": "One Dark" },
  // "vim_mode": true,
  "ui_font_size": 16, // a little larger
  "context_servers": {}
}
""")


def test_codex() -> None:
    assert check(CODEX, "toml", ("mcp_servers", "databricks")) == snapshot("""\
# Codex
model = "gpt-5"   # the newest

[mcp_servers.docs]
command = "npx"
args = [
  "-y",  # no questions
  "docs-mcp",
]

[mcp_servers.docs.env]
"API.KEY" = '1'
# OTHER = "2"

[mcp_servers.databricks]
command = "uvx"
args = ["databricks-responses-mcp"]

[mcp_servers.databricks.env]
DATABRICKS_CONFIG_PROFILE = "DEFAULT"

# What it may do
[projects."/home/me/work"]
trust_level = "trusted"
""")


def test_goose() -> None:
    entry = {"enabled": True, "type": "stdio", "name": "databricks", "cmd": "uvx", "args": [], "envs": {"A": "yes"}}
    assert check(GOOSE, "yaml", ("extensions", "databricks"), entry) == snapshot("""\
GOOSE_PROVIDER: databricks
extensions:
  developer:
    enabled: true
    type: builtin
    name: developer  # comes with it
    timeout: 300
    bundled: true
    description: 'A long line that a writer which reflows would certainly wrap, as it is wider than eighty columns.'
  databricks:
    enabled: true
    type: stdio
    name: databricks
    cmd: uvx
    args: []
    envs:
      A: "yes"
GOOSE_MODEL: "goose-gpt-5"
""")


def test_continue() -> None:
    entry = {"name": "databricks", **ENTRY}
    assert check(CONTINUE, "yaml", ("mcpServers", Named("name", "databricks")), entry) == snapshot("""\
name: Local Assistant
version: 1.0.0
schema: v1
models:
  - name: GPT
    provider: openai
    apiKey: ${{ secrets.KEY }}
mcpServers:
  - name: sqlite
    command: npx
    args:
      - "-y"
      - mcp-sqlite
  - name: databricks
    command: uvx
    args:
      - databricks-responses-mcp
    env:
      DATABRICKS_CONFIG_PROFILE: DEFAULT
# rules follow
rules:
  - |
    Be brief.

    Be right.
""")


def test_windows_line_endings_and_a_byte_order_mark_are_kept() -> None:
    for text, form, place in [
        (CLAUDE_DESKTOP, "json", ("mcpServers", "databricks")),
        (CODEX, "toml", ("mcp_servers", "databricks")),
        (GOOSE, "yaml", ("extensions", "databricks")),
    ]:
        after = check("\ufeff" + text.replace("\n", "\r\n"), form, place)
        assert after == "\ufeff" + set_entry(text, form, place, ENTRY).replace("\n", "\r\n")


def test_a_toml_entry_is_replaced_in_each_of_its_notations() -> None:
    new = {"command": "new", "env": {"A": "1"}}
    spellings = [
        '[mcp_servers."databricks"] # mine\ncommand = "old"\n[mcp_servers.databricks.env]\nB = "2"\n\n[z]\n',
        '[mcp_servers]\ndatabricks.command = "old"\nx.command = "x"\ndatabricks.env.B = "2"\n',
        '[mcp_servers]\ndatabricks = { command = "old" } # mine\nx.command = "x"\n',
        'mcp_servers = { databricks = { command = "old" }, x = { command = "x" } }\n[z]\n',
    ]
    assert [set_entry(text, "toml", ("mcp_servers", "databricks"), new) for text in spellings] == snapshot(
        [
            """\
[mcp_servers.databricks]
command = "new"

[mcp_servers.databricks.env]
A = "1"

[z]
""",
            """\
[mcp_servers]
databricks = { command = "new", env = { A = "1" } }
x.command = "x"
""",
            """\
[mcp_servers]
databricks = { command = "new", env = { A = "1" } } # mine
x.command = "x"
""",
            """\
mcp_servers = { databricks = { command = "new", env = { A = "1" } }, x = { command = "x" } }
[z]
""",
        ]
    )


def test_of_duplicate_keys_the_last_is_edited_and_all_are_removed() -> None:
    text = '{"mcpServers": {"databricks": 1, "databricks": {"command": "old"}}}'
    place = ("mcpServers", "databricks")
    assert read_entry(text, "json", place) == {"command": "old"}
    assert set_entry(text, "json", place, {"command": "new"}) == snapshot(
        '{"mcpServers": {"databricks": 1, "databricks": {"command": "new"}}}'
    )
    assert remove_entry(text, "json", place) == '{"mcpServers": {}}'


def test_a_new_member_of_a_nested_list_is_added_at_the_outer_dash() -> None:
    place = ("p", Named("name", "q"))
    after = check("p:\n- - b\n  - c\n-\n", "yaml", place, {"name": "q"})
    assert after == "p:\n- - b\n  - c\n-\n- name: q\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        (
            "json",
            '{\n  "a": 1\n  "b": 2\n}',
            snapshot("JSON at line 3, column 3: expected `,` or `}`."),
        ),
        (
            "json",
            '{"a": 1',
            snapshot("JSON at line 1, column 8: the end of the file, where `}` is missing."),
        ),
        (
            "json",
            '{"p": [1]}',
            snapshot("`p` at line 1, column 7 is not a JSON object."),
        ),
        (
            "json",
            "[]",
            snapshot("`the file` at line 1, column 1 is not a JSON object."),
        ),
        (
            "json",
            "[" * 100_000,
            snapshot("JSON at line 1, column 102: more than 100 levels."),
        ),
        (
            "toml",
            'a = 1\nb = "x\n',
            snapshot("TOML at line 2, column 7: illegal character '\\n'."),
        ),
        (
            "toml",
            "p = 3\n",
            snapshot("`p` at line 1, column 1 is not a TOML table."),
        ),
        (
            "toml",
            "[[p]]\na = 1\n",
            snapshot("`p` at line 1, column 1 is not a TOML table."),
        ),
        (
            "yaml",
            "a: [\n",
            snapshot("YAML at line 2, column 1: expected the node content, but found '<stream end>'."),
        ),
        (
            "yaml",
            "a: 1\na: 2\n",
            snapshot("YAML at line 2, column 1: this key is a duplicate."),
        ),
        (
            "yaml",
            "a: 1\n---\nb: 2\n",
            snapshot("YAML at line 2, column 1: found another document."),
        ),
        (
            "yaml",
            "p: text\n",
            snapshot("`p` at line 1, column 4 is not a YAML mapping."),
        ),
        (
            "yaml",
            "x: &x {a: 1}\np: *x\n",
            snapshot(
                "`p` of this YAML file cannot be changed without touching the rest: it is an alias of another value."
            ),
        ),
        (
            "yaml",
            "[" * 5_000,
            snapshot("YAML at line 1, column 1: too many levels."),
        ),
    ],
)
def test_a_text_that_cannot_be_edited_is_refused_with_the_place_of_the_problem(
    form: Format, text: str, message: str
) -> None:
    with pytest.raises(BridgeError) as raised:
        set_entry(text, form, ("p", "q"), {"command": "uvx"})
    assert raised.value.code == "invalid_argument"
    assert raised.value.hint.endswith("nothing was written.")
    assert raised.value.message.removeprefix("The file is not valid ") == message


def test_the_error_for_a_broken_file_does_not_contain_its_secret() -> None:
    with pytest.raises(BridgeError) as raised:
        set_entry("token: dapi-secret\ntoken: dapi-secret\n", "yaml", ("p", "q"), {"command": "uvx"})
    assert "dapi" not in str(raised.value)
