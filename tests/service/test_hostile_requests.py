"""Hostile HTTP to a service for a team, byte by byte: nothing of it may be taken for a signed-in request."""

from pathlib import Path

import anyio
import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.team_service import keys_in, team_server

pytestmark = pytest.mark.anyio

BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'
USUAL = b"Content-Type: application/json\r\nAccept: application/json\r\n"


def request(*lines: bytes, path: bytes = b"/mcp", body: bytes = BODY, length: bool = True) -> bytes:
    """Return a POST with these header lines besides the usual ones."""
    head = b"".join(line + b"\r\n" for line in lines)
    declared = b"Content-Length: %d\r\n" % len(body) if length else b""
    return b"POST " + path + b" HTTP/1.1\r\n" + head + USUAL + declared + b"Connection: close\r\n\r\n" + body


async def exchange(port: int, sent: bytes) -> list[int]:
    """Send bytes; returns the statuses of all answers until the connection is closed."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        received = b""
        with anyio.fail_after(DEADLINE_SECONDS):
            await stream.send(sent)
            try:
                while True:
                    received += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


async def test_what_a_proxy_could_read_otherwise_is_refused(emulator: RunningEmulator, tmp_path: Path) -> None:
    (key,) = keys_in(tmp_path / "keys", "ada").values()
    host, signed = b"Host: localhost", b"Authorization: Bearer " + key.encode()
    smuggled = request(host, signed)
    kinds = {
        "right": request(host, signed),
        "right, in another case": request(host, b"AUTHORIZATION: bEARER   " + key.encode()),
        "two equal tokens": request(host, signed, signed),
        "a token and a wrong one": request(host, b"Authorization: Bearer wrong", signed),
        "two tokens in one header": request(host, signed + b", Bearer wrong"),
        "two hosts": request(host, b"Host: evil.example", signed),
        "no host": request(signed),
        "an empty host": request(b"Host:", signed),
        "a host with a path": request(b"Host: localhost/evil.example", signed),
        "a host with a user": request(b"Host: localhost:80@evil.example", signed),
        "two lengths": request(host, signed, b"Content-Length: 3"),
        "a length and chunks": request(host, signed, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + smuggled),
        "chunks under another name": request(host, b"Transfer-Encoding: xchunked", body=smuggled, length=False),
        "a space before the colon": request(host, b"Authorization : Bearer " + key.encode()),
        "a folded header": request(host, b"X-Folded: a", b" Authorization: Bearer " + key.encode()),
        "a bare carriage return": request(host, b"X-A: b\rAuthorization: Bearer " + key.encode()),
        "a null byte": request(host, b"Authorization: Bearer " + key.encode() + b"\0"),
        "another path to it": request(host, path=b"/healthz/../mcp"),
        "an encoded path": request(host, path=b"/%6dcp"),
        "a path of the metadata": request(host, path=b"/.well-known/oauth-protected-resource/../../mcp"),
        "an absolute address": request(host, path=b"http://localhost/mcp"),
        "an address elsewhere": request(b"Host: evil.example", signed, path=b"http://localhost/mcp"),
        "a query": request(host, path=b"/mcp?access_token=" + key.encode()),
        "headers of Databricks Apps": request(host, b"X-Forwarded-User: ada", b"X-Forwarded-Access-Token: t"),
        "a forwarded host": request(b"Host: evil.example", b"X-Forwarded-Host: localhost", signed),
        "a web socket": request(host, b"Upgrade: websocket", b"Connection: Upgrade", length=False, body=b""),
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    }
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:
        port = int(serving.origin.rsplit(":", 1)[1])
        answers = {kind: await exchange(port, sent) for kind, sent in kinds.items()}
        still = await exchange(port, request(host, signed))
    assert answers == {
        "right": [200],
        "right, in another case": [200],
        "two equal tokens": [401],
        "a token and a wrong one": [401],
        "two tokens in one header": [401],
        "two hosts": [421],
        "no host": [421],
        "an empty host": [421],
        "a host with a path": [421],
        "a host with a user": [421],
        "two lengths": [400],
        "a length and chunks": [400],
        "chunks under another name": [400],
        "a space before the colon": [400],
        "a folded header": [400],
        "a bare carriage return": [400],
        "a null byte": [400],
        "another path to it": [401],
        "an encoded path": [401],
        "a path of the metadata": [401],
        "an absolute address": [401],
        "an address elsewhere": [421],
        "a query": [401],
        "headers of Databricks Apps": [401],
        "a forwarded host": [421],
        "a web socket": [401],
        "HTTP/2": [400],
    }
    assert still == [200]
    assert key not in "".join(serving.printed)


async def test_a_request_without_a_token_is_refused_before_its_body(emulator: RunningEmulator, tmp_path: Path) -> None:
    keys_in(tmp_path / "keys", "ada")
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n" + USUAL + b"Content-Length: 50000000\r\n\r\n{"
    async with (
        team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving,
        await anyio.connect_tcp("127.0.0.1", int(serving.origin.rsplit(":", 1)[1])) as stream,
    ):
        with anyio.fail_after(DEADLINE_SECONDS):
            await stream.send(head)
            assert (await stream.receive()).startswith(b"HTTP/1.1 401 ")
