"""The troubleshooting page: every line that it quotes is printed when that goes wrong for real.

Each entry of the page needs a provocation here, by the entry's heading; an entry without one fails.
"""

import contextlib
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from mcp import Client
from mcp.types import ElicitResult

from databricks_responses_mcp.server import build_server
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness import settings_for
from harness.http_process import http_server
from harness.raw_server import NO_LISTING, raw_server
from harness.terminal import CommandLine
from harness.tls_front import self_signed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the page quotes what POSIX systems say"),
]

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
ENTRY = re.compile(r"^### (?P<heading>.+)\n\n```text\n(?P<quoted>.+)\n```\n\n(?P<advice>\S)", re.MULTILINE)
ENTRIES = {match["heading"]: match["quoted"] for match in ENTRY.finditer(PAGE.read_text(encoding="utf-8"))}


@dataclass(frozen=True)
class Desk:
    """Somebody's machine, on which things can be made to go wrong.

    Attributes:
        cli: commands, with nothing configured.
        emulator: a workspace that answers.
        home: the home folder of the commands.
    """

    cli: CommandLine
    emulator: RunningEmulator
    home: Path

    @property
    def signed_in(self) -> dict[str, str]:
        return {"DATABRICKS_HOST": self.emulator.host, "DATABRICKS_TOKEN": self.emulator.token}

    async def run(self, *arguments: str, **environ: str) -> str:
        """What a command prints, with the workspace configured."""
        return await self.bare(*arguments, **{**self.signed_in, "RESPONSES_MCP_MODEL": "databricks-gpt-5", **environ})

    async def bare(self, *arguments: str, **environ: str) -> str:
        """What a command prints, with nothing configured."""
        ran = await self.cli.run(*arguments, **environ)
        return f"{ran.out}\n{ran.err}"

    async def ask(self, *options: str, **environ: str) -> str:
        return await self.run("ask", "hi", *options, **environ)

    async def call_ask(self, *, fault: str = "", settings: dict[str, object] | None = None, **arguments: object) -> str:
        """The text of a result of ``ask_databricks_model``, with a fault of the workspace."""
        if fault:
            self.emulator.state.faults.add(fault)
        return await self.call("ask_databricks_model", settings=settings, **{"prompt": "hi", **arguments})

    async def call(self, tool: str, *, settings: dict[str, object] | None = None, **arguments: object) -> str:
        """The text of a result in a host whose user closes every question."""

        async def user(_context: object, _question: object) -> ElicitResult:
            return ElicitResult(action="cancel")

        configured = settings_for(self.emulator, self.home, **{"max_retries": 0, **(settings or {})})
        server = build_server(lambda: open_bridge(configured, {}))
        async with Client(server, mode="legacy", elicitation_callback=user) as client:
            result = await client.call_tool(tool, arguments)
        return f"{result.content[0].text}\n{(result.structured_content or {}).get('notes')}"

    def profiles(self, text: str) -> None:
        (self.home / ".databrickscfg").write_text(text, encoding="utf-8")

    def cursor(self, text: str) -> None:
        """Cursor's file."""
        (self.home / ".cursor").mkdir()
        (self.home / ".cursor" / "mcp.json").write_text(text, encoding="utf-8")

    def picture(self, content: bytes) -> str:
        (self.home / "picture.png").write_bytes(content)
        return str(self.home / "picture.png")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    home = tmp_path / "home"
    home.mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "COLUMNS": "100",
        "RESPONSES_MCP_IMAGE_DIR": str(tmp_path / "pictures"),
        "RESPONSES_MCP_MAX_RETRIES": "0",
    }
    async with run_emulator() as emulator:
        yield Desk(CommandLine(environ, tmp_path), emulator, home)


Provocation = Callable[[Desk], Awaitable[str]]
PROVOCATIONS: dict[str, Provocation] = {}


def provokes(heading: str) -> Callable[[Provocation], Provocation]:
    """Says which entry a function provokes."""

    def register(provocation: Provocation) -> Provocation:
        PROVOCATIONS[heading] = provocation
        return provocation

    return register


def listening() -> socket.socket:
    """A program that has a port."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    return taken


PROVOCATIONS |= {
    "No workspace": lambda desk: desk.bare("ask", "hi"),
    "No file of profiles": lambda desk: desk.bare("ask", "hi", DATABRICKS_CONFIG_PROFILE="dev"),
    "The token is wrong": lambda desk: desk.ask(DATABRICKS_TOKEN="wrong"),
    "Not allowed": lambda desk: desk.call_ask(fault="body:permission:403"),
    "There is no such host": lambda desk: desk.ask(DATABRICKS_HOST="https://no-such-workspace.invalid"),
    "The account console": lambda desk: desk.ask(DATABRICKS_HOST="https://accounts.cloud.databricks.com"),
    "Not encrypted": lambda desk: desk.ask(DATABRICKS_HOST="http://dbc-1.cloud.databricks.com"),
    "A proxy that does not answer": lambda desk: desk.run(
        "doctor", DATABRICKS_HOST="https://dbc-1.cloud.databricks.com", HTTPS_PROXY="http://127.0.0.1:9"
    ),
    "A sign-in page": lambda desk: desk.call_ask(fault="login"),
    "The connection breaks": lambda desk: desk.call_ask(fault="cut:3"),
    "The workspace is down": lambda desk: desk.call_ask(fault="503"),
    "No such model": lambda desk: desk.call_ask(model="databricks-gpt5"),
    "Not served by the Responses API": lambda desk: desk.call_ask(
        model="databricks-claude-sonnet-4-5", surface="responses"
    ),
    "Not ready": lambda desk: desk.call_ask(model="databricks-gpt-oss-20b"),
    "A rate limit": lambda desk: desk.call_ask(fault="429:40"),
    "The answer stops early": lambda desk: desk.call_ask(prompt="[[words 100]]", max_output_tokens=16),
    "Filtered": lambda desk: desk.call_ask(fault="body:guardrail"),
    "The handle is not known": lambda desk: desk.call("get_response", response_id="job_0"),
    "The conversation is not known": lambda desk: desk.call_ask(conversation_id="conv_0"),
    "Today's budget is spent": lambda desk: desk.call_ask(settings={"daily_token_budget": 1}),
    "More than this server allows": lambda desk: desk.call_ask(
        max_output_tokens=100, settings={"max_output_tokens": 50}
    ),
    "An approval that nobody gave": lambda desk: desk.call_ask(mcp_servers=["genie"]),
    "A picture is too large": lambda desk: desk.call_ask(
        images=[desk.picture(b"0" * 500)], settings={"max_image_bytes": 100}
    ),
    "A picture is no picture": lambda desk: desk.ask("--image", __file__),
    "There is no such file": lambda desk: desk.ask("--image", "nothing.png"),
    "A file outside the allowed folders": lambda desk: desk.call_ask(files=["/etc/hosts"]),
    "The picture was saved elsewhere": lambda desk: desk.run(
        "image", "a fox", RESPONSES_MCP_IMAGE_DIR=desk.picture(b"") + "/under"
    ),
    "The store is no store": lambda desk: desk.ask(RESPONSES_MCP_STORE=desk.picture(b"no database" * 100)),
    "The store cannot be written": lambda desk: desk.ask(RESPONSES_MCP_STORE=desk.picture(b"") + "/conversations.db"),
    "A misspelt setting": lambda desk: desk.ask(RESPONSES_MCP_MODLE="x"),
    "A wrong value": lambda desk: desk.ask(RESPONSES_MCP_MAX_RETRIES="many"),
    "Only for this machine": lambda desk: desk.run("serve", "--http", "0.0.0.0:8000"),
    "A service whose address is not known": lambda desk: desk.run(
        "serve", "--http", "127.0.0.1:0", RESPONSES_MCP_SERVICE_OAUTH_ISSUER="https://login.example.com"
    ),
    "A file of keys that cannot be read": lambda desk: desk.run(
        "serve", "--http", "127.0.0.1:0", RESPONSES_MCP_SERVICE_KEYS_FILE="/nowhere/keys"
    ),
    "The engine is not there": lambda desk: desk.bare("ask", "--embedded", "--engine", "http://127.0.0.1:9", "hi"),
    "Nothing to sign in with": lambda desk: desk.bare("install", "cursor"),
    "The host does not pass the token": lambda desk: desk.run("install", "claude-desktop"),
    "No file for projects": lambda desk: desk.run("install", "windsurf", "--project"),
    "A secret in a file that is shared": lambda desk: desk.run(
        "install", "cursor", "--project", "--env", "API_TOKEN=abc"
    ),
    "There is no such host here": lambda desk: desk.run("install", "cursr"),
}


@provokes("No model to choose")
async def _no_model(desk: Desk) -> str:
    for name in [name for name, endpoint in desk.emulator.state.endpoints.items() if endpoint.provider != "anthropic"]:
        del desk.emulator.state.endpoints[name]
    desk.emulator.state.services.clear()
    return await desk.call_ask(settings={"model": None})


@provokes("The old name")
async def _moved(desk: Desk) -> str:
    desk.emulator.state.switches.legacy_names = False
    return await desk.call_ask()


@provokes("No listing")
async def _no_listing(desk: Desk) -> str:
    async with raw_server(b"") as (server, _):
        server.listing = NO_LISTING
        return await desk.run("models", DATABRICKS_HOST=server.host)


@provokes("The profile is not there")
async def _(desk: Desk) -> str:
    desk.profiles("[dev]\nhost = https://dbc-1.cloud.databricks.com\n")
    return await desk.bare("ask", "hi", DATABRICKS_CONFIG_PROFILE="prod")


@provokes("The file of profiles cannot be read")
async def _(desk: Desk) -> str:
    desk.profiles("host = https://dbc-1.cloud.databricks.com\n")
    return await desk.bare("ask", "hi", DATABRICKS_CONFIG_PROFILE="dev")


@provokes("Several profiles")
async def _(desk: Desk) -> str:
    desk.profiles(
        "[dev]\nhost = https://dbc-1.cloud.databricks.com\n[prod]\nhost = https://dbc-2.cloud.databricks.com\n"
    )
    return await desk.bare("install", "cursor")


@provokes("A certificate that is not trusted")
async def _(desk: Desk) -> str:
    context = self_signed("localhost", desk.home / "certificate.pem")

    async def serve(stream: SocketStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream, OSError):
                await TLSStream.wrap(stream, server_side=True, ssl_context=context)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)
        said = await desk.run("doctor", DATABRICKS_HOST=f"https://localhost:{port}")
        tasks.cancel_scope.cancel()
    return said


@provokes("Too long for the model")
async def _(desk: Desk) -> str:
    body = b'{"error_code": "BAD_REQUEST", "message": "This model\'s maximum context length is 400000 tokens."}'
    reply = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(reply % (len(body), body))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        said = await desk.ask(DATABRICKS_HOST=f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
        tasks.cancel_scope.cancel()
    return said


@provokes("Timeout")
async def _(desk: Desk) -> str:
    return await desk.call_ask(fault="delay:30", settings={"timeout_seconds": 1})


@provokes("A call was handed over")
async def _(desk: Desk) -> str:
    with desk.emulator.state.hold(after_events=3):
        return await desk.call_ask(settings={"hand_over_seconds": 0.5})


@provokes("The disk is full")
async def _(desk: Desk) -> str:
    if not Path("/dev/full").exists():
        pytest.skip("no full disk here")
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        environ = desk.cli.with_environ({**desk.signed_in, "RESPONSES_MCP_MODEL": "databricks-gpt-5"})
        done = await anyio.run_process(
            desk.cli.argv("ask", "hi"), stdout=full, check=False, env=environ, cwd=desk.cli.directory
        )
    finally:
        os.close(full)
    return done.stderr.decode()


@provokes("The port is in use")
async def _(desk: Desk) -> str:
    with listening() as taken:
        return await desk.run("serve", "--http", f"127.0.0.1:{taken.getsockname()[1]}")


@provokes("The token is missing")
async def _(desk: Desk) -> str:
    async with http_server({**desk.cli.environ, **desk.signed_in}) as serving:
        return (await serving.post({}, authorization=None)).text


@provokes("An approval that a model may not give")
async def _(desk: Desk) -> str:
    configured = settings_for(desk.emulator, desk.home)
    server = build_server(lambda: open_bridge(configured, {}))
    async with Client(server) as client:
        asked = await client.call_tool("ask_databricks_model", {"prompt": "hi", "mcp_servers": ["genie"]})
        assert asked.structured_content is not None
        (pending,) = asked.structured_content["pending_calls"]
        output = {"approval_request_id": pending["approval_request_id"], "approve": True}
        arguments = {"conversation_id": asked.structured_content["conversation_id"], "outputs": [output]}
        refused = await client.call_tool("continue_databricks_model", arguments)
    return str(refused.content[0].text)


@provokes("The emulator's port is in use")
async def _(desk: Desk) -> str:
    with listening() as taken:
        return await desk.bare("emulator", "--port", f"{taken.getsockname()[1]}")


@provokes("The host's file cannot be read")
async def _(desk: Desk) -> str:
    desk.cursor('{"mcpServers": {"x": }')
    return await desk.run("install", "cursor", "--embedded")


@provokes("Another server of that name")
async def _(desk: Desk) -> str:
    desk.cursor('{"mcpServers": {"databricks": {"command": "other"}}}')
    return await desk.run("install", "cursor", "--embedded")


@provokes("The command is not there")
async def _(desk: Desk) -> str:
    desk.cursor('{"mcpServers": {"databricks": {"command": "/gone/databricks-responses-mcp"}}}')
    return await desk.run("doctor", "--no-call")


@provokes("The command may not be found from the desktop")
async def _(desk: Desk) -> str:
    program = desk.home / "databricks-responses-mcp"
    program.write_text("#!/bin/sh\necho databricks-responses-mcp, version 0\n", encoding="utf-8")
    program.chmod(0o755)
    desk.cursor('{"mcpServers": {"databricks": {"command": "databricks-responses-mcp"}}}')
    return await desk.run("doctor", "--no-call", PATH=f"{desk.home}{os.pathsep}{os.environ['PATH']}")


@provokes("The command does not start")
async def _(desk: Desk) -> str:
    program = desk.home / "databricks-responses-mcp"
    program.write_text("#!/bin/sh\necho something is missing\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    desk.cursor(f'{{"mcpServers": {{"databricks": {{"command": "{program}"}}}}}}')
    return await desk.run("doctor", "--no-call")


def test_every_entry_quotes_one_line_and_has_a_provocation_here() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(ENTRIES)
    assert set(ENTRIES) == set(PROVOCATIONS)


@pytest.mark.parametrize("heading", ENTRIES)
async def test_what_an_entry_quotes_is_printed(heading: str, desk: Desk) -> None:
    printed = await PROVOCATIONS[heading](desk)
    pattern = ".+?".join(map(re.escape, re.split(r"<[^>]+>", ENTRIES[heading])))
    assert re.search(pattern, printed), printed
