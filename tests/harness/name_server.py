"""A name server on loopback that knows one name, as Docker's name server knows the names of services."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import cast

_HEADER = struct.Struct("!6H")
_IS_ANSWER, _NO_SUCH_NAME = 0x8180, 0x8183
_A, _IN = 1, 1
_SECONDS = 1


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """The name server.

    Attributes:
        name: the name that it knows.
        addresses: its addresses; may be changed while it runs.
        asked: how often it was asked for them.
    """

    name: str
    addresses: list[str] = field(default_factory=list)
    asked: int = 0
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers are sent from."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        number = _HEADER.unpack_from(data)[0]
        labels, at = [], _HEADER.size
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = data[_HEADER.size : at + 5]
        (kind,) = struct.unpack_from("!H", data, at + 1)
        is_known = ".".join(labels) == self.name
        addresses = self.addresses if is_known and kind == _A else []
        self.asked += bool(addresses)
        flags = _IS_ANSWER if is_known else _NO_SUCH_NAME
        # 0xC00C refers to the name in the question.
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, _A, _IN, _SECONDS, 4) + IPv4Address(address).packed for address in addresses
        )
        assert self._transport is not None
        self._transport.sendto(_HEADER.pack(number, flags, 1, len(addresses), 0, 0) + question + records, addr)


@asynccontextmanager
async def name_server(name: str, *addresses: str) -> AsyncIterator[NameServer]:
    """Run a name server on a free port."""
    server = NameServer(name, list(addresses))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
