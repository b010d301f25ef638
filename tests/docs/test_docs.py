"""What the documentation says: every command in it runs, every snippet works, every generated part is current."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HOSTS = ROOT / "docs" / "hosts"
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SETUP = "python3 -m venv"


def name_of(page: Path) -> str:
    """A page's name, from the top of the repository."""
    return page.relative_to(ROOT).as_posix()


def fences(language: str) -> list[Any]:
    """Return every fenced block of a language, by page and number; those beyond the README are slow."""
    found = []
    for page in PAGES:
        if language == "json" and page.parent == HOSTS:
            continue  # each in its host's own form; test_host_pages.py compares them with the ready files
        blocks = [m for m in FENCE.finditer(page.read_text(encoding="utf-8")) if m[2] == language]
        for number, match in enumerate(blocks, 1):
            code = "\n".join(line.removeprefix(match[1]) for line in match[3].splitlines())
            marks = [] if page.parent == ROOT else [pytest.mark.slow]
            found.append(pytest.param(code, id=f"{name_of(page)}-{number}", marks=marks))
    return found


def manifests() -> list[Any]:
    """The ready files that hold ``mcpServers``; all are much alike, so that one is enough for every day."""
    files = {file: file.read_text(encoding="utf-8") for file in sorted((ROOT / "manifests").glob("*/*.json"))}
    held = [(file, text) for file, text in files.items() if '"mcpServers"' in text]
    return [
        pytest.param(text, id=str(file.relative_to(ROOT)), marks=[pytest.mark.slow] if number else [])
        for number, (file, text) in enumerate(held)
    ]


def command_of(server: dict[str, Any]) -> list[str]:
    """How a registration starts the server: without uv, which would fetch the last release, not this checkout."""
    command = [server["command"], *server.get("args", [])]
    return command[1:] if command[0] == "uvx" else command


@pytest.fixture(scope="module")
def workspace() -> Iterator[dict[str, str]]:
    """An emulator of this module's own, as its command prints it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "databricks_responses_mcp", "emulator", "--engine", "rules", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)


def environment(workspace: dict[str, str], home: Path) -> dict[str, str]:
    """A user's environment, with this checkout's command on the path."""
    kept = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)}
    return {**kept, "DATABRICKS_HOST": workspace["host"], "DATABRICKS_TOKEN": workspace["token"]}


def sign_in_by_profile(workspace: dict[str, str], home: Path) -> None:
    """What the Databricks CLI leaves after a sign-in."""
    (home / ".databrickscfg").write_text(
        f"[DEFAULT]\nhost = {workspace['host']}\ntoken = {workspace['token']}\n", encoding="utf-8"
    )


def runnable(code: str, workspace: dict[str, str]) -> str:
    """The block with the quick engine, and with this test's workspace where the page has an example's."""
    code = re.sub(r"--embedded(?! --engine)", "--embedded --engine rules", code)
    code = re.sub(r"(DATABRICKS_HOST=)\S+", rf"\g<1>{workspace['host']}", code)
    return re.sub(r"(DATABRICKS_TOKEN=)\S+", rf"\g<1>{workspace['token']}", code)


@pytest.mark.skipif(sys.platform == "win32", reason="the pages show POSIX shell")
@pytest.mark.parametrize("code", [block for block in fences("bash") if not block.values[0].startswith(SETUP)])
def test_every_command_of_the_documentation_runs(code: str, workspace: dict[str, str], tmp_path: Path) -> None:
    sign_in_by_profile(workspace, tmp_path)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", runnable(code, workspace)],
        env=environment(workspace, tmp_path),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG_DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("code", [*fences("json"), *manifests()])
def test_every_registration_that_is_shown_or_shipped_starts_a_server(
    code: str, workspace: dict[str, str], tmp_path: Path
) -> None:
    sign_in_by_profile(workspace, tmp_path)
    for server in json.loads(code)["mcpServers"].values():
        env = environment(workspace, tmp_path)
        env = {name: value for name, value in env.items() if not name.startswith("DATABRICKS_")} | server.get("env", {})
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "docs", "version": "1"}}
        call = {
            "name": "ask_databricks_model",
            "arguments": {"prompt": "[[say registered]]", "model": "databricks-gpt-5"},
        }
        lines = [
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
        ]
        process = subprocess.Popen(
            command_of(server),
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for line in lines:
            process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        assert process.wait(DEADLINE_SECONDS) == 0
        process.stdout.close()
        assert answers[1]["result"]["structuredContent"]["text"] == "registered"


@pytest.mark.parametrize("code", fences("python"))
def test_every_python_snippet_of_the_documentation_runs(
    code: str,
    workspace: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", environment(workspace, tmp_path)["PATH"])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "<documentation>", "exec"), {"host": workspace["host"], "token": workspace["token"]})
    assert capsys.readouterr().out.strip()


def test_the_generated_parts_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts" / "docs")
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "scripts" / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, sections in generate.GENERATED.items():
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert generate.regenerate(text, sections) == text, f"{name}: run python scripts/docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_every_error_code_is_explained() -> None:
    from databricks_responses_mcp.errors import ErrorCode

    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert [code for code in ErrorCode if f"| `{code.value}` | " not in text.partition("## Exit codes")[0]] == []


def test_every_directive_of_the_rules_is_explained() -> None:
    from databricks_workspace_emulator.engines.rules import DIRECTIVES

    text = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `\[\[([a-z ]+?)(?: [A-Z\d]+)?\]\]` \|", text, re.MULTILINE)
    assert sorted(explained) == sorted(DIRECTIVES)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the page shows POSIX shell")
def test_the_readmes_first_command_does_everything_on_a_fresh_machine(tmp_path: Path) -> None:
    command = next(block.values[0] for block in fences("bash") if block.values[0].startswith(SETUP))
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_")) or name == "PATH"}
    done = subprocess.run(
        ["bash", "-c", str(command)],
        env={**kept, "HOME": str(home)},
        cwd=clone,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG_DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "\n" in done.stderr
