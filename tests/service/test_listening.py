"""The addresses on which the server may listen, and the Host and Origin headers that it accepts."""

import asyncio
import socket
import subprocess
import sys
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.service.listening import listen
from harness.deadlines import DEADLINE_SECONDS


def resolver(*addresses: str) -> Any:
    """Return a resolver with these addresses for every name; no request leaves the machine."""

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]

    return getaddrinfo


@pytest.mark.parametrize(
    "addresses", [("192.0.2.1",), ("127.0.0.1", "192.0.2.1"), ("::1", "2001:db8::1"), ("0.0.0.0",)]
)
def test_a_name_that_does_not_resolve_to_loopback_is_refused(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver(*addresses))
    with pytest.raises(BridgeError) as caught:
        listen("tools.localhost", 0)
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT
    assert addresses[-1] in caught.value.message


def test_all_addresses_of_a_name_have_one_port_and_are_allowed_as_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver("127.0.0.1", "127.0.0.3"))
    listener = listen("tools.localhost", 0)
    try:
        assert [sock.getsockname() for sock in listener.sockets] == [
            ("127.0.0.1", listener.port),
            ("127.0.0.3", listener.port),
        ]
        assert listener.url == f"http://tools.localhost:{listener.port}/mcp"
        names = ["127.0.0.1", "127.0.0.3", "[::1]", "localhost", "tools.localhost"]
        assert listener.security.allowed_hosts == [*names, *(f"{name}:*" for name in names)]
        assert "http://tools.localhost:*" in listener.security.allowed_origins
        assert listener.security.enable_dns_rebinding_protection
    finally:
        for sock in listener.sockets:
            sock.close()


def test_a_port_in_use_is_reported_and_no_socket_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BridgeError, match=f"cannot listen on port {port} of 127.0.0.1"):
            listen("127.0.0.1", port)


@pytest.mark.anyio
async def test_an_answer_of_several_small_writes_is_not_held_back() -> None:
    listener = listen("127.0.0.1", 0)
    without_delay: list[int] = []
    accepted = anyio.Event()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        without_delay.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()
        accepted.set()

    async with await asyncio.start_server(accept, sock=listener.sockets[0]):
        with anyio.fail_after(DEADLINE_SECONDS), socket.create_connection(("127.0.0.1", listener.port)):
            await accepted.wait()
    assert without_delay == [1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(("limits", "connections"), [((256, 4000), 2000), ((256, 1000), 300), ((64, 64), 10)])
def test_connections_are_limited_to_the_files_that_the_process_may_open(
    limits: tuple[int, int], connections: int
) -> None:
    code = (
        "import resource, sys\n"
        "from databricks_responses_mcp.service.listening import connection_limit\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, {limits})\n"
        "print(connection_limit(2000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(connections), str(min(2700, limits[1]))]
