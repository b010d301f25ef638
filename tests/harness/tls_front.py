"""A TLS proxy for a PostgreSQL server without TLS, following its protocol: a request, an S, then TLS."""

import ssl
import struct
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_SSL_REQUEST = struct.pack("!II", 8, 80877103)


@dataclass(frozen=True, slots=True)
class TlsFront:
    """A proxy that listens on loopback.

    Attributes:
        certificate: the file of its certificate.
    """

    port: int
    certificate: Path


@asynccontextmanager
async def tls_front(name: str, port: int) -> AsyncIterator[TlsFront]:
    """Listen with a certificate for ``name`` and forward to ``port`` without TLS."""

    async def serve(plain: SocketStream) -> None:
        async with plain:
            assert await plain.receive(8) == _SSL_REQUEST, "the client began without TLS"
            await plain.send(b"S")
            try:
                encrypted = await TLSStream.wrap(
                    plain, server_side=True, ssl_context=context, standard_compatible=False
                )
            except (ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream):
                return
            async with await anyio.connect_tcp("127.0.0.1", port) as server, anyio.create_task_group() as both_ways:
                both_ways.start_soon(_pass_on, encrypted, server, both_ways.cancel_scope)
                both_ways.start_soon(_pass_on, server, encrypted, both_ways.cancel_scope)

    with tempfile.TemporaryDirectory(prefix="tls-") as folder:
        certificate = Path(folder) / "certificate.pem"
        context = self_signed(name, certificate)
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, serve)
            yield TlsFront(listener.extra(SocketAttribute.local_port), certificate)
            tasks.cancel_scope.cancel()


async def _pass_on(source: ByteStream, target: ByteStream, until: anyio.CancelScope) -> None:
    try:
        async for piece in source:
            await target.send(piece)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
        pass
    until.cancel()


def self_signed(name: str, certificate: Path) -> ssl.SSLContext:
    """Create a self-signed certificate for ``name`` in a file; return a server's TLS context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file = certificate.with_name("key.pem")
    key_file.write_bytes(private)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key_file)
    return context
