"""What is made of the one description: current, whole, and the same in every place."""

import base64
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
import yaml

from databricks_responses_mcp.hosts.registration import list_servers
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import RELEASED, SERVER, ready_launch
from databricks_responses_mcp.prompts.catalogue import PROMPTS
from databricks_responses_mcp.tools.definitions import NAMES
from harness.generated import generated

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
SCRIPTS = ROOT / "scripts" / "manifests"
BADGE = r"\[!\[Install in ([^\]]+)\]\([^)]+\)\]\(([^)]+)\)"
SECRET = re.compile(r"dapi\w|Bearer |\btoken\b.{0,4}[:=].{0,4}\w{20}", re.IGNORECASE)


def read(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_everything_generated_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("Nothing differs.\n", "", 0)


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.key)
def test_each_host_has_a_ready_file_that_starts_the_server_without_a_secret(host: Any) -> None:
    (file,) = (file for file in (MANIFESTS / host.key).iterdir() if file.is_file())
    text = file.read_text(encoding="utf-8")
    assert [(server.name, server.launch) for server in list_servers(host, text)] == [(SERVER.key, ready_launch())]
    assert SECRET.search(text) is None


def test_every_one_click_link_registers_what_the_ready_files_do() -> None:
    links = dict(re.findall(BADGE, generated("badges", "badges(released=True)")))
    assert list(links) == ["VS Code", "VS Code Insiders", "Cursor", "goose", "LM Studio", "Kiro"]
    found = {title: registered(title, link) for title, link in links.items()}
    entry = {"command": "uvx", "args": [SERVER.distribution], "env": {"DATABRICKS_CONFIG_PROFILE": "DEFAULT"}}
    # goose asks for the values of variables instead of taking them.
    assert found.pop("goose") == {"cmd": "uvx", "arg": SERVER.distribution, "env": "DATABRICKS_CONFIG_PROFILE=Profile"}
    assert found == dict.fromkeys(found, (SERVER.key, entry))


def test_before_the_release_nothing_names_the_distribution_to_a_program_that_would_fetch_it() -> None:
    folders = (MANIFESTS, ROOT / "docs", ROOT / ".claude-plugin")
    files = [ROOT / "README.md", *(file for folder in folders for file in folder.rglob("*"))]
    texts = {
        file: file.read_text(encoding="utf-8")
        for file in files
        # How to release is for those who do.
        if file.is_file() and file.suffix in (".md", ".json", ".toml", ".yaml") and file.parent.name != "maintaining"
    }
    fetches = re.compile(rf"""(?:uvx|pipx run)(?:[\s"',:=\[\]]|args)*{SERVER.distribution}""")
    found = [file.relative_to(ROOT).as_posix() for file, text in texts.items() if fetches.search(text)]
    assert RELEASED or (found, re.findall(BADGE, texts[ROOT / "README.md"])) == ([], [])


@pytest.mark.slow
def test_one_setting_makes_everything_start_the_release() -> None:
    made = "b''.join(host_files().values()).decode()"
    assert generated("host_files", made, released=True).count("uvx") == len(HOSTS)
    assert (generated("host_files", made).count("uvx") > 0) == RELEASED
    assert '"uvx"' in generated("claude_code", "plugin_files()['.mcp.json'].decode()", released=True)
    assert '"uvx"' in generated("gemini_cli", "extension_files()['gemini-extension.json'].decode()", released=True)
    assert "server.json" in generated("index", "index().decode()", released=True)
    assert generated("badges", "badges()", released=True) == generated("badges", "badges(released=True)")
    assert generated("mcp_registry", "*registry_files()", released=True) == "server.json\n"


def test_before_the_release_there_is_nothing_to_hand_to_the_registry() -> None:
    assert (MANIFESTS / "mcp-registry").exists() == RELEASED


def registered(title: str, link: str) -> Any:
    """What a click hands to the host: name and entry."""
    query = parse_qs(urlsplit(link).query)
    if title.startswith("VS Code"):
        scheme, _, config = query["url"][0].partition(":mcp/install?")
        assert scheme == ("vscode-insiders" if "Insiders" in title else "vscode")
        entry = json.loads(unquote(config))
        return entry.pop("name"), entry
    if title == "goose":
        return {name: value for name, value in parse_qsl(urlsplit(link).query) if name in ("cmd", "arg", "env")}
    (config,) = query["config"]
    return query["name"][0], json.loads(config if config.startswith("{") else base64.b64decode(config))


def test_the_bundles_form_has_every_variable_and_masks_the_secret() -> None:
    manifest = read("manifests/claude-desktop/bundle/manifest.json")
    assert {key: (field["type"], field.get("sensitive", False)) for key, field in manifest["user_config"].items()} == {
        "profile": ("string", False),
        "host": ("string", False),
        "token": ("string", True),
        "model": ("string", False),
        "image_dir": ("directory", False),
    }
    assert manifest["server"]["mcp_config"]["env"] == {
        variable.name: f"${{user_config.{variable.key}}}" for variable in SERVER.variables
    }
    assert not any(field["required"] for field in manifest["user_config"].values())
    assert manifest["privacy_policies"] == [SERVER.privacy_policy]


def test_the_bundle_lists_every_tool_and_prompt() -> None:
    manifest = read("manifests/claude-desktop/bundle/manifest.json")
    assert [tool["name"] for tool in manifest["tools"]] == list(NAMES)
    assert all(tool["description"] for tool in manifest["tools"])
    assert [(prompt["name"], prompt["arguments"]) for prompt in manifest["prompts"]] == [
        (prompt.name, [argument.name for argument in prompt.arguments]) for prompt in PROMPTS.values()
    ]
    for prompt in manifest["prompts"]:
        assert set(re.findall(r"\$\{arguments\.(\w+)\}", prompt["text"])) == set(prompt["arguments"])


def test_the_bundle_asks_for_what_the_package_depends_on() -> None:
    bundle = tomllib.loads((MANIFESTS / "claude-desktop/bundle/pyproject.toml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    same = ("name", "version", "requires-python", "dependencies")
    assert bundle == {"project": {key: project[key] for key in same}, "tool": {"uv": {"package": False}}}


def test_the_bundle_is_built_the_same_twice_and_holds_the_server_alone(tmp_path: Path) -> None:
    for name in ("one.mcpb", "two.mcpb"):
        subprocess.run(
            [sys.executable, str(SCRIPTS / "build_mcpb.py"), str(tmp_path / name)], check=True, capture_output=True
        )
    assert (tmp_path / "one.mcpb").read_bytes() == (tmp_path / "two.mcpb").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.mcpb") as bundle:
        names = bundle.namelist()
    top = sorted({name.partition("/")[0] for name in names})
    assert top == ["LICENSE", "README.md", "icon.png", "manifest.json", "pyproject.toml", "server"]
    assert {name.split("/")[1] for name in names if name.startswith("server/")} == {
        "main.py",
        "databricks_responses_mcp",
    }
    assert "server/databricks_responses_mcp/tools/definitions/generate_image.json" in names
    assert [name for name in names if "/." in name or name.endswith(".pyc")] == []


def test_no_tool_of_the_plugin_has_a_name_that_is_too_long_for_a_model() -> None:
    plugin = read("manifests/claude-code/plugin/.claude-plugin/plugin.json")["name"]
    (server,) = read("manifests/claude-code/plugin/.mcp.json")["mcpServers"]
    assert max(len(f"mcp__plugin_{plugin}_{server}__{tool}") for tool in NAMES) <= 64


def test_the_marketplace_leads_to_the_plugin() -> None:
    (entry,) = read(".claude-plugin/marketplace.json")["plugins"]
    manifest = read(f"{entry['source']}/.claude-plugin/plugin.json")
    assert (manifest["name"], manifest["version"]) == (entry["name"], entry["version"])


def test_the_image_says_which_server_of_the_registry_it_is_and_is_nobodys_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert f'LABEL io.modelcontextprotocol.server.name="{SERVER.registry_name}" \\' in lines
    assert lines[lines.index("USER 10001") :] == [
        "USER 10001",
        "WORKDIR /home/app",
        "# Of `serve --http 0.0.0.0:8000`. Over stdio nothing listens there, and the check succeeds.",
        "EXPOSE 8000",
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \\",
        '    CMD ["python", "-m", "databricks_responses_mcp.service.probe"]',
        f'ENTRYPOINT ["{SERVER.distribution}"]',
    ]
    # Only the folder of data belongs to the user that the server runs as.
    assert [line.split()[-2:] for line in lines if "-o app" in line] == [["/data", "/data/pictures"]]
    assert all(re.search(r":\d+\.\d+-slim-\w+", line) for line in lines if line.startswith("FROM "))


def test_dockers_catalog_would_take_the_entry() -> None:
    entry = yaml.safe_load((MANIFESTS / "docker/server.yaml").read_text(encoding="utf-8"))
    assert re.fullmatch(r"[a-z0-9-]+", entry["name"])
    title = entry["about"]["title"]
    assert title == title.title()
    assert "MCP" not in title
    assert "Server" not in title
    assert re.fullmatch(r"[0-9a-f]{40}", entry["source"]["commit"])
    config = entry["config"]
    assert [(secret["name"], secret["env"]) for secret in config["secrets"]] == [
        (f"{entry['name']}.token", "DATABRICKS_TOKEN")
    ]
    used = {match for env in config["env"] for match in re.findall(r"\{\{([^}]+)\}\}", env["value"])}
    assert used == {f"{entry['name']}.{name}" for name in config["parameters"]["properties"]}
    tools = read("manifests/docker/tools.json")
    assert [tool["name"] for tool in tools] == list(NAMES)
    assert all(argument["desc"] for tool in tools for argument in tool["arguments"])
