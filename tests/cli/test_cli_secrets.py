"""No secret of the process is on stdout or stderr, whatever shape it has and whoever repeats it."""

import io
import itertools
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.cli import commands as commands_module
from databricks_responses_mcp.cli.main import run
from databricks_responses_mcp.cli.redacted_streams import redacted_streams
from databricks_responses_mcp.workspace.secret_values import SecretValues
from harness.raw_server import answer
from harness.terminal import Answering, CommandLine

pytestmark = pytest.mark.anyio

TOKEN = "zz!odd/Token=9"


def refusing(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def streaming() -> bytes:
    """An answer in which the token comes in two pieces, and whole in an item that nobody knows."""
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": f"It is {TOKEN}."}]}
    odd = {"type": "odd", "id": "x", TOKEN: [TOKEN]}
    events: list[dict[str, Any]] = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": f"It is {TOKEN[:6]}"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": f"{TOKEN[6:]}."},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 1, "item": odd},
        {"type": "response.completed", "response": {"id": TOKEN, "model": TOKEN, "output": [item, odd]}},
    ]
    return answer("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode(), "text/event-stream")


REPLIES = {
    "message": refusing("400 Bad Request", json.dumps({"message": f"bad token {TOKEN}", "error_code": TOKEN}).encode()),
    "text": refusing("500 Internal Server Error", f"trace of {TOKEN}".encode(), "text/plain"),
    "page": refusing("502 Bad Gateway", f"<html><title>{TOKEN}</title><pre>{TOKEN}</pre>".encode(), "text/html"),
    "redirect": f"HTTP/1.1 307 x\r\nLocation: https://a.example/{TOKEN}\r\nContent-Length: 0\r\n\r\n".encode(),
    "listing": refusing("200 OK", json.dumps({"endpoints": [{"name": TOKEN, "description": TOKEN}]}).encode()),
    "stream": streaming(),
}
COMMANDS = [
    ("ask", "hi"),
    ("ask", "hi", "--json"),
    ("models", "--all"),
    ("models", "--all", "--json"),
    ("doctor",),
    ("doctor", "--json"),
]


@pytest.mark.slow
@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
async def test_a_token_that_an_upstream_repeats_is_never_printed(
    bare: CommandLine, answering: Answering, reply: bytes
) -> None:
    async with answering(reply) as origin:
        desk = CommandLine(
            {
                **bare.environ,
                "DATABRICKS_HOST": origin,
                "DATABRICKS_TOKEN": TOKEN,
                "RESPONSES_MCP_MODEL": "some-model",
                "RESPONSES_MCP_SURFACE": "responses",
                "RESPONSES_MCP_LOG_LEVEL": "DEBUG",
                "RESPONSES_MCP_MAX_RETRIES": "0",
            },
            bare.directory,
        )
        for command in COMMANDS:
            ran = await desk.run(*command)
            assert TOKEN not in ran.out + ran.err, command
            if reply == REPLIES["stream"] and command == ("ask", "hi"):
                assert ran.out == "It is [redacted].\n"
        shown = await desk.run("conversations")
        assert TOKEN not in shown.out + shown.err


@pytest.mark.slow
@pytest.mark.parametrize("command", [("doctor", "--no-call"), ("doctor", "--no-call", "--json"), ("ask", "hi")])
async def test_the_password_of_a_proxy_is_never_printed(bare: CommandLine, command: tuple[str, ...]) -> None:
    environ = {
        **bare.environ,
        "HTTPS_PROXY": "http://user:hunter22/x@127.0.0.1:9",
        "DATABRICKS_HOST": "https://workspace.invalid",
        "DATABRICKS_TOKEN": TOKEN,
    }
    ran = await CommandLine(environ, bare.directory).run(*command)
    assert ran.code != 0
    assert "hunter22" not in ran.out + ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "store", ["postgresql:/me:hunter22@h/db", "postgresq://me:hunter22@h/db", "'postgresql://me:hunter22@h/db'"]
)
async def test_a_mistyped_database_url_creates_no_folder_and_is_not_shown(bare: CommandLine, store: str) -> None:
    desk = CommandLine({**bare.environ, "RESPONSES_MCP_STORE": store}, bare.directory)
    before = sorted(bare.directory.rglob("*"))
    for command in (("conversations",), ("conversations", "--json"), ("usage",)):
        ran = await desk.run(*command)
        assert ran.code == 2
        assert "RESPONSES_MCP_STORE" in ran.err
        assert "hunter22" not in ran.out + ran.err
    assert sorted(bare.directory.rglob("*")) == before


def test_the_report_of_a_defect_contains_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError(f"lost in {TOKEN}")

    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
    monkeypatch.setattr(commands_module.commands, "main", fail)
    assert run(["models"]) == 1
    shown = capsys.readouterr().err
    assert TOKEN not in shown
    assert "RuntimeError: lost in [redacted]" in shown


def written(pieces: list[str], *known: str) -> str:
    """What pieces come to on stdout."""
    secrets = SecretValues()
    secrets.add(*known)
    kept, out = sys.stdout, io.StringIO()
    sys.stdout = out
    try:
        with redacted_streams(secrets, stdout=True):
            for piece in pieces:
                sys.stdout.write(piece)
                sys.stdout.flush()
    finally:
        sys.stdout = kept
    return out.getvalue()


@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_secret_in_pieces_is_taken_out_all_the_same(cuts: list[int]) -> None:
    text = f"a{TOKEN[:5]} {TOKEN}{TOKEN} zz!odd/To"
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    assert written(pieces, TOKEN) == f"a{TOKEN[:5]} [redacted][redacted] zz!odd/To"


@given(st.lists(st.text()))
def test_what_holds_no_secret_is_written_as_it_is(pieces: list[str]) -> None:
    assert written(pieces, "\x00never\x00written") == "".join(pieces)
