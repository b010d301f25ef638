"""Files of a volume, from a workspace that does not answer as it should."""

import pytest

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.workspace.volume_files import VolumeFiles
from harness.raw_server import raw_server

pytestmark = pytest.mark.anyio
FOLDER = "/Volumes/main/default/pictures"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"


async def test_a_file_whose_transfer_breaks_is_an_error_and_no_shorter_file() -> None:
    async with raw_server(b"") as (server, bridge):
        server.listing = HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\nbroken\r\n"
        with pytest.raises(BridgeError) as caught:
            await VolumeFiles(lambda: bridge.client, FOLDER).read("a.png", most_bytes=1000)
    assert caught.value.code.value == "upstream_unavailable"


async def test_a_file_that_is_too_large_is_not_read_to_its_end() -> None:
    async with raw_server(b"", each=1) as (server, bridge):
        server.listing = HEAD + b"content-length: 100000\r\n\r\n" + b"x" * 100_000
        with pytest.raises(BridgeError) as caught:
            await VolumeFiles(lambda: bridge.client, FOLDER).read("a.png", most_bytes=1000)
    assert caught.value.code.value == "too_large"


@pytest.mark.parametrize(
    "listing",
    [
        b"[]",
        b'{"contents": 7}',
        b'{"contents": [7, {"name": 8}, {"is_directory": true, "name": "x"}, {"last_modified": "y"}]}',
        b'{"contents": [], "next_page_token": {"a": 1}}',
    ],
)
async def test_an_odd_listing_names_nothing(listing: bytes) -> None:
    async with raw_server(b"") as (server, bridge):
        server.listing = HEAD + f"content-length: {len(listing)}\r\n\r\n".encode() + listing
        assert await VolumeFiles(lambda: bridge.client, FOLDER).names() == []


async def test_a_listing_without_end_is_given_up() -> None:
    listing = b'{"contents": [{"name": "a.png", "last_modified": 1}], "next_page_token": "again"}'
    async with raw_server(b"") as (server, bridge):
        server.listing = HEAD + f"content-length: {len(listing)}\r\n\r\n".encode() + listing
        assert set(await VolumeFiles(lambda: bridge.client, FOLDER).names()) == {"a.png"}
        assert server.gets == 10
