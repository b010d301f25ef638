"""Web images: fetched when they are public, and never a door into the private network."""

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import anyio
import anyio.to_thread
import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.fetching import Fetched, fetch, is_public
from databricks_responses_mcp.media.images_in import load_image
from harness.deadlines import DEADLINE_SECONDS
from harness.policies import policy_of

pytestmark = pytest.mark.anyio
Picture = Callable[..., bytes]
Start = Callable[[bool], Any]
ROOM = 1_000_000
PUBLIC = "93.184.215.14"


async def to_loopback(_: str, __: int) -> list[str]:
    return ["127.0.0.1"]


async def failure(url: str, **options: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        await fetch(url, **({"max_bytes": ROOM} | options))
    return caught.value


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1", "169.254.169.254",
        "172.31.0.1", "192.0.0.8", "192.168.1.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "239.255.255.250",
        "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
        "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "3fff::1",
        "100::1", "5f00::1", "nonsense", "",
    ],
)  # fmt: skip
def test_an_address_that_is_not_on_the_open_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", PUBLIC, "2606:4700::1111", "64:ff9b::808:808", "172.32.0.1"])
def test_an_address_on_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


async def test_a_picture_comes_over_https_by_the_name_of_its_host(
    web_server: Start, trusted: None, picture: Picture
) -> None:
    web = web_server(True)
    web.answers["/a%20cat.png"] = (200, {"Set-Cookie": "a=b"}, picture())
    url = f"https://pictures.test:{web.port}/a%20cat.png?size=2"
    fetched = await fetch(url, max_bytes=ROOM, allow_private=True, resolver=to_loopback)
    assert fetched == Fetched(picture(), "a cat.png")
    assert web.seen == [
        (
            "/a%20cat.png?size=2",
            {
                "host": f"pictures.test:{web.port}",
                "accept": "*/*",
                "accept-encoding": "identity",
                "user-agent": "databricks-responses-mcp",
            },
        )
    ]


async def test_load_image_inlines_a_web_picture(web_server: Start, trusted: None, picture: Picture) -> None:
    web = web_server(True)
    web.answers["/x"] = (200, {"Content-Type": "text/plain"}, picture("WEBP", size=(5, 6)))
    image = await load_image(f"{web.url}/x", max_bytes=ROOM, allow_private=True)
    assert (image.mime_type, image.width, image.height, image.name) == ("image/webp", 5, 6, "x")
    assert image.url.startswith("data:image/webp;base64,")


async def test_a_certificate_for_another_name_is_refused(web_server: Start, trusted: None) -> None:
    web = web_server(True)
    error = await failure(f"https://other.test:{web.port}/", allow_private=True, resolver=to_loopback)
    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_ERROR, False)
    assert "the certificate of its server is not valid for it" in error.message
    assert web.seen == []


async def test_an_unknown_authority_is_refused(web_server: Start) -> None:
    web = web_server(True)
    error = await failure(f"{web.url}/", allow_private=True)
    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_ERROR, False)
    assert web.seen == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "0"]
)
async def test_no_spelling_of_a_loopback_address_is_connected_to(web_server: Start, trusted: None, host: str) -> None:
    web = web_server(True)
    error = await failure(f"https://{host}:{web.port}/")
    assert error.code in (ErrorCode.PERMISSION_DENIED, ErrorCode.NOT_FOUND)
    assert web.seen == []


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    async def mixed(_: str, __: int) -> list[str]:
        return [PUBLIC, "10.0.0.1"]

    error = await failure("https://mixed.test/x.png", resolver=mixed)
    assert (error.code, error.retryable) == (ErrorCode.PERMISSION_DENIED, False)
    assert error.message == "“https://mixed.test/x.png” leads to a private network address, which is not fetched."


async def test_a_name_whose_address_changes_is_connected_to_the_checked_address(
    web_server: Start, trusted: None, picture: Picture
) -> None:
    web = web_server(True)
    web.answers["/x"] = (200, {}, picture())
    asked: list[str] = []

    async def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    # pictures.test does not exist in any DNS: only the address that the check saw can have been connected to.
    url = f"https://pictures.test:{web.port}/x"
    assert (await fetch(url, max_bytes=ROOM, allow_private=True, resolver=rebinding)).data == picture()
    assert asked == ["pictures.test"]


async def test_each_redirect_is_checked_like_the_first_address(web_server: Start, trusted: None) -> None:
    web = web_server(True)
    web.answers["/x"] = (302, {"Location": f"https://inside.test:{web.port}/secret"}, b"")
    asked: list[str] = []

    async def resolver(host: str, _: int) -> list[str]:
        asked.append(host)
        if host == "inside.test":
            raise OSError("must not matter")
        return ["127.0.0.1"]

    url = f"https://pictures.test:{web.port}/x"
    error = await failure(url, allow_private=True, resolver=resolver)
    assert error.code is ErrorCode.NOT_FOUND
    assert asked == ["pictures.test", "inside.test"]


async def test_a_redirect_into_the_private_network_is_refused(
    web_server: Start, trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = web_server(True)
    web.answers["/x"] = (302, {"Location": "https://169.254.169.254/latest"}, b"")
    # Loopback passes for public here, as nothing public can be had in a test; everything else is checked for real.
    monkeypatch.setattr(
        "databricks_responses_mcp.media.fetching.is_public",
        lambda address: address == "127.0.0.1" or is_public(address),
    )
    error = await failure(f"{web.url}/x")
    assert error.code is ErrorCode.PERMISSION_DENIED
    assert len(web.seen) == 1


async def test_a_redirect_to_plain_http_is_refused(
    web_server: Start, trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    web, plain = web_server(True), web_server(False)
    web.answers["/x"] = (301, {"Location": f"{plain.url}/x"}, b"")
    monkeypatch.setattr("databricks_responses_mcp.media.fetching.is_public", lambda _: True)
    error = await failure(f"{web.url}/x")
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "redirects to http" in error.message
    assert plain.seen == []


async def test_three_redirects_are_followed_and_four_are_not(web_server: Start, picture: Picture) -> None:
    web = web_server(False)
    for n in range(4):
        web.answers[f"/{n}"] = (307, {"Location": f"{n + 1}?q"}, b"")
    web.answers["/4"] = (200, {}, picture())
    assert (await fetch(f"{web.url}/1", max_bytes=ROOM, allow_private=True)).data == picture()
    error = await failure(f"{web.url}/0", allow_private=True)
    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_ERROR, False)
    assert "redirects more than 3 times" in error.message


async def test_cookies_of_a_redirect_are_not_sent_on(web_server: Start) -> None:
    web = web_server(False)
    web.answers["/x"] = (302, {"Location": "/y", "Set-Cookie": "session=1; Path=/"}, b"")
    web.answers["/y"] = (200, {}, b"data")
    await fetch(f"{web.url}/x", max_bytes=ROOM, allow_private=True)
    assert all("cookie" not in headers and "authorization" not in headers for _, headers in web.seen)
    assert len(web.seen) == 2


@pytest.mark.parametrize(
    "location", ["https://me:pw@127.0.0.1/", "https://", "http://[", "file:///etc/passwd", "gopher://h/"]
)
async def test_a_redirect_to_an_odd_address_is_refused(web_server: Start, location: str) -> None:
    web = web_server(False)
    web.answers["/x"] = (302, {"Location": location}, b"")
    error = await failure(f"{web.url}/x", allow_private=True)
    assert error.code in (ErrorCode.INVALID_ARGUMENT, ErrorCode.NOT_FOUND)
    assert "pw" not in str(error)
    assert len(web.seen) == 1


async def test_proxies_of_the_environment_are_not_used(web_server: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    web, proxy = web_server(False), web_server(False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    web.answers["/x"] = (200, {}, b"data")
    assert (await fetch(f"{web.url}/x", max_bytes=ROOM, allow_private=True)).data == b"data"
    assert proxy.seen == []


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (404, ErrorCode.NOT_FOUND, False),
        (410, ErrorCode.NOT_FOUND, False),
        (401, ErrorCode.PERMISSION_DENIED, False),
        (403, ErrorCode.PERMISSION_DENIED, False),
        (429, ErrorCode.UPSTREAM_UNAVAILABLE, True),
        (503, ErrorCode.UPSTREAM_UNAVAILABLE, True),
        (418, ErrorCode.UPSTREAM_ERROR, False),
        (302, ErrorCode.UPSTREAM_ERROR, False),
        (206, ErrorCode.UPSTREAM_ERROR, False),
    ],
)
async def test_a_status_becomes_the_error_it_means(
    web_server: Start, status: int, code: ErrorCode, retryable: bool
) -> None:
    web = web_server(False)
    web.answers["/x"] = (status, {}, b"<html>secret</html>")
    error = await failure(f"{web.url}/x?token=hush", allow_private=True)
    assert (error.code, error.retryable) == (code, retryable)
    assert error.message == f"“{web.url}/x?…” was answered with HTTP {status}."


async def test_a_declared_size_over_the_limit_is_not_read(web_server: Start) -> None:
    web = web_server(False)
    web.answers["/x"] = (200, {"Content-Length": "999999999999"}, b"x")
    error = await failure(f"{web.url}/x", allow_private=True)
    assert error.code is ErrorCode.TOO_LARGE


async def test_a_body_without_end_is_cut_at_the_limit(web_server: Start) -> None:
    web = web_server(False)
    hung_up = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            hung_up.set()

    web.answers["/x"] = endless
    with anyio.fail_after(DEADLINE_SECONDS):
        error = await failure(f"{web.url}/x", allow_private=True)
        assert error.code is ErrorCode.TOO_LARGE
        assert await anyio.to_thread.run_sync(hung_up.wait, DEADLINE_SECONDS)


@pytest.mark.parametrize(
    "encoding", ["gzip", "x-gzip", "deflate", "GZIP", "gzip, gzip", "identity, gzip", "br", "zstd"]
)
async def test_an_image_with_unrequested_compression_is_never_decompressed(web_server: Start, encoding: str) -> None:
    web = web_server(False)
    web.answers["/x"] = (200, {"Content-Encoding": encoding}, gzip.compress(bytes(200_000_000), 9))
    tracemalloc.start()
    try:
        error = await failure(f"{web.url}/x", max_bytes=ROOM, allow_private=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (error.code, "was compressed" in error.message) == (ErrorCode.UPSTREAM_ERROR, True)
    assert peak < 10 * ROOM


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"Content-Encoding": "gzip"}, b"not gzip", ErrorCode.UPSTREAM_ERROR),
        ({"Content-Length": "100"}, b"cut", ErrorCode.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_a_damaged_body_is_never_taken_for_whole(
    web_server: Start, headers: dict[str, str], body: bytes, code: ErrorCode
) -> None:
    web = web_server(False)
    web.answers["/x"] = (200, headers, body)
    assert (await failure(f"{web.url}/x", allow_private=True)).code is code


async def test_a_server_that_never_answers_ends_at_the_deadline(web_server: Start) -> None:
    web = web_server(False)
    release = threading.Event()
    web.answers["/x"] = lambda _: release.wait(DEADLINE_SECONDS) and None
    try:
        with anyio.fail_after(DEADLINE_SECONDS):
            error = await failure(f"{web.url}/x", allow_private=True, deadline_seconds=0.2)
    finally:
        release.set()
    assert (error.code, error.retryable) == (ErrorCode.TIMEOUT, True)


async def test_cancelling_closes_the_connection(web_server: Start) -> None:
    web = web_server(False)
    started, gone = threading.Event(), threading.Event()

    def wait_for_the_end(handler: BaseHTTPRequestHandler) -> None:
        started.set()
        if handler.connection.recv(1) == b"":
            gone.set()

    web.answers["/x"] = wait_for_the_end
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: fetch(f"{web.url}/x", max_bytes=ROOM, allow_private=True))
            assert await anyio.to_thread.run_sync(started.wait, DEADLINE_SECONDS)
            group.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(gone.wait, DEADLINE_SECONDS)


async def test_a_host_that_does_not_listen_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = await failure(f"http://127.0.0.1:{port}/", allow_private=True)
    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)


async def test_the_next_address_is_tried_when_one_does_not_listen(web_server: Start) -> None:
    web = web_server(False)
    web.answers["/x"] = (200, {}, b"data")

    async def two(_: str, __: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    assert (await fetch(f"http://h:{web.port}/x", max_bytes=9, allow_private=True, resolver=two)).data == b"data"


async def test_a_name_without_an_address_is_not_found() -> None:
    error = await failure("https://pictures.invalid/x.png?key=hush")
    assert error.code in (ErrorCode.NOT_FOUND, ErrorCode.UPSTREAM_UNAVAILABLE)
    assert "hush" not in str(error)


@pytest.mark.parametrize(
    "url",
    ["https://", "https:///x", "https://[::1", "https://h:99999/", "https://me:pw@h/", "http://h/", "https://a..b/"],
)
async def test_an_address_that_cannot_be_fetched_is_refused_before_any_connection(url: str) -> None:
    error = await failure(url)
    assert error.code in (ErrorCode.INVALID_ARGUMENT, ErrorCode.NOT_FOUND)
    assert "pw" not in str(error)


async def test_each_redirect_is_checked_against_the_list_of_hosts_before_its_name_is_resolved(
    web_server: Start, trusted: None
) -> None:
    web = web_server(True)
    web.answers["/x"] = (302, {"Location": f"https://outside.test:{web.port}/x"}, b"")
    asked: list[str] = []

    async def resolver(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    policy = policy_of('default.url_hosts.allow = ["pictures.test:*"]')
    url = f"https://pictures.test:{web.port}/x"
    error = await failure(url, allow_private=True, resolver=resolver, check_url=policy.check_url)
    assert error.code is ErrorCode.PERMISSION_DENIED
    assert f"outside.test:{web.port}" in error.message
    assert asked == ["pictures.test"]
    assert len(web.seen) == 1
