"""Real pictures, and real web servers on loopback."""

import io
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """``picture("PNG", size=(w, h), mode="RGB", noise=False, frames=1, **save)``: an encoded picture."""

    def make(
        image_format: str = "PNG",
        size: tuple[int, int] = (32, 24),
        mode: str = "RGB",
        noise: bool = False,
        frames: int = 1,
        **save: Any,
    ) -> bytes:
        def frame(number: int) -> Image.Image:
            if noise:
                grey = Image.frombytes("L", size, Random(0).randbytes(size[0] * size[1]))
            else:
                grey = Image.linear_gradient("L").resize(size)
            return grey.rotate(90 * number).convert(mode)

        buffer = io.BytesIO()
        if frames > 1:
            save |= {"save_all": True, "append_images": [frame(n) for n in range(1, frames)]}
        frame(0).save(buffer, image_format, **save)
        return buffer.getvalue()

    return make


@dataclass
class Web:
    """A web server on loopback: what it answers by path, and the requests that it saw."""

    url: str
    port: int
    answers: dict[str, Answer | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@dataclass(frozen=True)
class Certificates:
    authority: Path
    chain: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and a certificate of it for ``pictures.test`` and 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
    server_key = ec.generate_private_key(ec.SECP256R1())

    def build(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = (
        build(name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    names = [x509.DNSName("pictures.test"), x509.IPAddress(ip_address("127.0.0.1"))]
    server = (
        build(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pictures.test")]), server_key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(private + server.public_bytes(pem))
    return Certificates(folder / "authority.pem", folder / "server.pem")


@pytest.fixture
def web_server(request: pytest.FixtureRequest) -> Iterator[Callable[[bool], Web]]:
    """``web_server(tls)`` starts a server; it is stopped after the test."""
    with ExitStack() as stack:

        def start(tls: bool) -> Web:
            web = Web("", 0)

            class Handler(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"

                def do_GET(self) -> None:
                    web.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                    answer = web.answers.get(self.path.partition("?")[0], (404, {}, b"<html>no</html>"))
                    self.close_connection = True
                    if callable(answer):
                        answer(self)
                        return
                    status, headers, body = answer
                    self.send_response(status)
                    for name, value in ({"Content-Length": str(len(body))} | headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_: Any) -> None:
                    pass

            class Server(ThreadingHTTPServer):
                def handle_error(self, *_: Any) -> None:
                    pass  # clients that hang up are what some tests are about

            server = Server(("127.0.0.1", 0), Handler)
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(request.getfixturevalue("certificates").chain)
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            web.port = server.server_address[1]
            web.url = f"http{'s' if tls else ''}://127.0.0.1:{web.port}"
            return web

        yield start


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test authority is one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
