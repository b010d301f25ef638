"""Makes the pictures of the documentation: ``python scripts/pictures/make.py [NAME...]``.

See docs/pictures/README.md.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests")]

from browsing import browser  # noqa: E402
from rendering import picture_of_terminal  # noqa: E402
from sessions import COLUMNS, CONCLUSION, LAST_WORDS, QUESTION, REQUEST, SQL, FixedAnswers, Terminal, terminal  # noqa: E402

from databricks_responses_mcp.tools.definitions import NAMES  # noqa: E402
from databricks_workspace_emulator.server import RunningEmulator, run_emulator  # noqa: E402
from harness import model_api  # noqa: E402
from harness.account import Account  # noqa: E402
from harness.anthropic_api import AnthropicApi  # noqa: E402
from harness.chat_completions_api import ChatCompletionsApi  # noqa: E402
from harness.claude_code import ClaudeCode  # noqa: E402
from harness.codex import NAMESPACE, Codex  # noqa: E402
from harness.gemini_api import GeminiApi  # noqa: E402
from harness.gemini_cli import GeminiCli  # noqa: E402
from harness.mlflow_server import mlflow_server  # noqa: E402
from harness.model_api import StandIn, ToolCall  # noqa: E402
from harness.npm import npm_path  # noqa: E402
from harness.openai_api import OpenAiApi  # noqa: E402
from harness.opencode import Opencode  # noqa: E402
from harness.stdio_process import environment, server  # noqa: E402

PROGRAM = "databricks-responses-mcp"
COMMANDS = Path(sys.executable).parent
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Account, RunningEmulator]]:
    """An account with nothing in it, and a workspace."""
    home = Path(tempfile.gettempdir()) / "demo"
    shutil.rmtree(home, ignore_errors=True)
    async with run_emulator(engine=FixedAnswers()) as emulator:
        server_env = {key: value for key, value in environment(emulator, home).items() if key != "PATH"}
        account = Account(home=home, server_env=server_env)
        link = account.home / ".local" / "bin" / PROGRAM
        link.parent.mkdir(parents=True)
        link.symlink_to(COMMANDS / PROGRAM)
        account.environ["PATH"] = f"{link.parent}{os.pathsep}{os.environ['PATH']}"
        account.write(".databrickscfg", f"[DEFAULT]\nhost = {emulator.host}\ntoken = {emulator.token}\n")
        yield account, emulator


Play = Callable[[Terminal], None]


async def on_terminal(account: Account, argv: list[str], play: Play, name: str, rows: int = 40) -> None:
    """Run a program, do as ``play`` does, and draw the screen."""
    environ = {key: value for key, value in account.environ.items() if key not in ("NO_COLOR", "TERM")}

    def run() -> None:
        with terminal(argv, environ, account.project, rows) as screen:
            play(screen)
            picture_of_terminal(screen.still(), COLUMNS, FOLDER / f"{name}.png")

    await anyio.to_thread.run_sync(run)


async def commands(name: str, *lines: str, rows: int = 40) -> None:
    """Commands in a shell, and what they print."""
    async with stage() as (account, _):
        account.write(".bashrc", "PS1='$ '\n")
        for folder in (".cursor", ".codex", ".gemini"):
            (account.home / folder).mkdir(exist_ok=True)
        for host in ("cursor", "codex"):
            await account.run("databricks-responses-mcp", "install", host)

        def play(screen: Terminal) -> None:
            screen.until("$")
            for number, line in enumerate(lines, 1):
                screen.type(line)
                screen.press("Enter")
                # The prompt comes again when the command is done.
                while screen.shown().rstrip().count("\n$") + 1 <= number or not screen.shown().rstrip().endswith("\n$"):
                    screen.until("$")

        await on_terminal(account, ["bash", "--noprofile", "--rcfile", str(account.home / ".bashrc")], play, name, rows)


async def install() -> None:
    await commands("install", f"{PROGRAM} install gemini-cli", f"{PROGRAM} install", rows=34)


async def doctor() -> None:
    await commands("doctor", f"{PROGRAM} doctor")


async def ask() -> None:
    await commands("ask", f'{PROGRAM} ask -m databricks-gpt-5 "{SQL}"', rows=20)


async def image() -> None:
    await commands("image", f'{PROGRAM} image --embedded "A red fox in the snow"')


async def claude_code() -> None:
    async with stage() as (account, emulator):
        with StandIn.running(AnthropicApi()) as model:
            host = ClaudeCode(account, emulator, model)
            await host.add()
            host.settle_in()
            model.will_call(_calls("mcp__databricks__")[0])
            model_api.LAST_WORDS = CONCLUSION

            def play(screen: Terminal) -> None:
                screen.until("Claude Code v")
                screen.type("/mcp")
                screen.until("Manage MCP servers")
                screen.press("Enter")
                screen.until(f"{len(NAMES)} tools")  # connected
                screen.still()
                screen.press("Escape")
                screen.still()
                screen.type(QUESTION)
                screen.until(QUESTION)
                screen.press("Enter")
                screen.until("It suggests MERGE INTO.")
                screen.press("C-o")  # the transcript, with the call and its result
                screen.until("MERGE INTO runs USING")

            argv = ["claude", "--permission-mode", "default", "--allowedTools", "mcp__databricks__*"]
            await on_terminal(account, argv, play, "claude-code", 48)


async def codex() -> None:
    async with stage() as (account, emulator):
        with StandIn.running(OpenAiApi()) as model:
            host = Codex(account, emulator, model)
            await host.add('default_tools_approval_mode = "approve"')
            config = account.home / ".codex" / "config.toml"
            trusted = f'\n[projects."{account.project}"]\ntrust_level = "trusted"\n'
            config.write_text(config.read_text(encoding="utf-8") + trusted, encoding="utf-8")
            model.will_call(*_calls(f"{NAMESPACE}/"))

            def play(screen: Terminal) -> None:
                screen.until("OpenAI Codex")
                screen.type(REQUEST)
                screen.until("draw a lighthouse.")
                screen.press("Enter")
                screen.until("in your pictures folder.")

            await on_terminal(account, ["codex", "--no-daemon"], play, "codex", 46)


async def gemini_cli() -> None:
    async with stage() as (account, emulator):
        with StandIn.running(GeminiApi()) as model:
            host = GeminiCli(account, emulator, model)
            await host.add()
            model.will_call(*_calls("mcp_databricks_"))

            def play(screen: Terminal) -> None:
                screen.until("Type your message")
                screen.type(REQUEST)
                screen.until("draw a lighthouse.")
                screen.press("Enter")
                for _ in range(2):
                    screen.until("Allow execution of MCP tool")
                    screen.press("Enter")
                    screen.until("✓")
                screen.until("in your pictures folder.")

            await on_terminal(account, ["gemini", "-m", "gemini-2.5-flash"], play, "gemini-cli", 44)


async def opencode() -> None:
    async with stage() as (account, emulator):
        with StandIn.running(ChatCompletionsApi()) as model:
            host = Opencode(account, emulator, model)
            await host.add()
            model.will_call(*_calls("databricks_"))

            def play(screen: Terminal) -> None:
                screen.until("Ask anything")
                screen.still()
                screen.type(REQUEST)
                screen.until("lighthouse.")
                screen.press("Enter")
                screen.until("pictures folder.")
                screen.still()
                screen.press("C-p")
                screen.until("Suggested")
                screen.still()
                screen.type("Show generic tool")
                screen.until("Show generic tool output")
                screen.press("Enter")
                screen.until("appends, so a second run")

            await on_terminal(account, ["opencode"], play, "opencode", 42)


async def inspector() -> None:
    async with stage() as (account, _):
        server = [word for key, value in account.server_env.items() for word in ("-e", f"{key}={value}")]
        argv = ["mcp-inspector", *server, str(COMMANDS / "databricks-responses-mcp")]
        environ = {"PATH": npm_path(INSPECTOR), "MCP_AUTO_OPEN_ENABLED": "false", "DANGEROUSLY_OMIT_AUTH": "true"}
        async with account.started(*argv, **environ), browser(1280, 860) as page:
            await page.open("http://localhost:6274")
            await page.click("[role=switch], input[type=checkbox]")
            await page.until("Connected")
            await page.click_text("Tools")
            await page.until("ask_databricks_model")
            await page.click_text("ask_databricks_model")
            await page.draw(FOLDER / "inspector.png")


async def telemetry() -> None:
    async with stage() as (account, emulator):
        with mlflow_server(account.home) as mlflow:
            variables = {
                "RESPONSES_MCP_TELEMETRY": "true",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{mlflow.origin}/v1/traces",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-mlflow-experiment-id=0",
            }
            async with server(environment(emulator, account.home, **variables)) as raw:
                await raw.initialize()
                await raw.ask(1, "tools/call", name="ask_databricks_model", arguments={"prompt": QUESTION})
                assert raw.process.stdin is not None
                await raw.process.stdin.aclose()
                await raw.process.wait()
            async with browser(1280, 620) as page:
                await page.open(f"{mlflow.origin}/#/experiments/0/traces")
                await page.click_text("Got it")
                await page.click("button[aria-label=Close]")
                await page.click_first("second")
                await page.click_text("chat databricks-gpt-5")
                await page.draw(FOLDER / "telemetry.png")


def _calls(prefix: str) -> list[ToolCall]:
    return [
        ToolCall(f"{prefix}ask_databricks_model", {"prompt": SQL}),
        ToolCall(f"{prefix}generate_image", {"prompt": "A lighthouse at dusk, flat colours", "size": "512x512"}),
    ]


PICTURES: dict[str, Callable[[], Awaitable[None]]] = {
    "install": install,
    "doctor": doctor,
    "ask": ask,
    "image": image,
    "claude-code": claude_code,
    "codex": codex,
    "gemini-cli": gemini_cli,
    "opencode": opencode,
    "inspector": inspector,
    "telemetry": telemetry,
}


def main(names: list[str]) -> None:
    """Make the pictures of these names, or all."""
    for name in names or PICTURES:
        model_api.LAST_WORDS = LAST_WORDS
        anyio.run(PICTURES[name])


if __name__ == "__main__":
    main(sys.argv[1:])
