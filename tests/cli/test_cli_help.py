"""``--help``: readable in any terminal, complete, and true."""

import re
import sys
from pathlib import Path

import anyio
import pytest

from databricks_responses_mcp import __version__
from databricks_responses_mcp.cli.commands import COMMANDS
from databricks_responses_mcp.cli.conversations import command as conversations
from databricks_responses_mcp.cli.errors import EXIT_CODES, OUTPUT_CLOSED, exit_code_of
from databricks_responses_mcp.cli.main import run
from databricks_responses_mcp.cli.running import INTERRUPTED, TERMINATED, TerminatedError
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.settings import settings_help
from harness.terminal import CommandLine


def help_of(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([*arguments, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS, *(f"conversations {name}" for name in conversations.commands)])
def test_help_fits_the_terminal(
    command: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = help_of(*command.split(), capsys=capsys).splitlines()
    assert [line for line in lines if len(line) > columns] == []
    assert max(map(len, lines)) > columns * 0.8


@pytest.mark.parametrize("command", ["serve", "ask", "search", "edit", "image", "models", "doctor"])
def test_settings_stand_in_a_section_after_the_commands_own_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(command, capsys=capsys)
    places = [text.index(f"\n{heading}:\n") for heading in ("Options", "Workspace", "Settings")]
    assert places == sorted(places)
    assert text.index("--help") < places[1] < text.index("--host") < places[2] < text.index("--timeout-seconds")


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("ask", {"hand-over-seconds", "max-text-tokens", "approval-timeout-seconds", "allowed-dirs", "image-model"}),
        ("search", {"max-file-bytes", "image-dir", "mcp-servers", "max-image-bytes"}),
        ("edit", {"image-dir", "mcp-servers", "max-image-bytes"}),
        ("image", {"max-file-bytes", "mcp-servers", "inline-image-bytes", "max-output-tokens"}),
        ("models", {"store", "image-dir", "mcp-servers", "daily-token-budget"}),
        ("usage", {"timeout-seconds", "embedded", "model"}),
    ],
)
def test_help_shows_only_settings_that_the_command_heeds(
    command: str, missing: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = set(re.findall(r"^  (?:-\w, )?--([a-z-]+)", help_of(command, capsys=capsys), re.MULTILINE))
    assert shown & missing == set()
    assert shown > {"json", "log-level"}


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_no_name_is_broken_in_help(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    texts = [help_of(command, capsys=capsys) for command in COMMANDS]
    assert [line for text in texts for line in text.splitlines() if re.search(r"\w-$", line)] == []


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_told(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([option]) == 0
    assert capsys.readouterr().out == f"databricks-responses-mcp, version {__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="shells of POSIX")
@pytest.mark.parametrize(
    ("shell", "words", "at", "offered"),
    [
        ("bash", "databricks-responses-mcp s", 1, ["plain,serve", "plain,search"]),
        ("bash", "databricks-responses-mcp ask --sch", 2, ["plain,--schema"]),
        ("bash", "databricks-responses-mcp search --context-size l", 3, ["plain,low"]),
        ("bash", "databricks-responses-mcp ask --file ap", 3, ["file,ap"]),
    ],
)
@pytest.mark.anyio
async def test_a_shell_completes_commands_options_and_values(
    bare: CommandLine, shell: str, words: str, at: int, offered: list[str]
) -> None:
    variable = "_DATABRICKS_RESPONSES_MCP_COMPLETE"
    program = Path(sys.executable).with_name("databricks-responses-mcp")
    environ = {**bare.environ, variable: f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    done = await anyio.run_process([str(program)], env=environ, check=False)
    assert (done.stdout.decode().split(), done.stderr) == (offered, b"")


def test_help_of_serve_documents_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    words = re.sub(r"\s+", "", help_of("serve", capsys=capsys))
    missing = [doc.env for doc in settings_help() if doc.env not in words]
    # What may be secret is not an option: a command line can be read by other users of the machine.
    assert [name for name in missing if not name.endswith(("_KEY", "_EXTRA_HEADERS"))] == []


def test_every_exit_code_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    text = re.sub(r"\s+", " ", help_of(capsys=capsys))
    documented = {int(code) for code in re.findall(r"[:;] (\d+) [a-z]", text[text.index("Exit codes") :])}
    assert documented == {0, *EXIT_CODES.values(), INTERRUPTED, TERMINATED, OUTPUT_CLOSED}
    assert EXIT_CODES.keys() == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_wrapped_by_task_groups_keeps_its_exit_code(
    code: ErrorCode, capsys: pytest.CaptureFixture[str]
) -> None:
    error = BridgeError(code, "It \x1b[31mfailed.", "Do this.", retry_after_seconds=2)
    group = BaseExceptionGroup("outer", [ExceptionGroup("inner", [error])])
    assert exit_code_of(group) == EXIT_CODES[code]
    assert capsys.readouterr().err == f"{code.value}: It \\x1b[31mfailed.\n  Do this. Retry after 2 s.\n"


def test_other_ends_have_theirs() -> None:
    assert [exit_code_of(end) for end in (KeyboardInterrupt(), TerminatedError(), BrokenPipeError(), ValueError())] == [
        130,
        143,
        141,
        None,
    ]
