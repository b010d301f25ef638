"""The head and the body of an answer are sent in one piece, and nothing is lost or kept when a connection ends."""

import asyncio

import anyio
import pytest

from databricks_responses_mcp.service.joined_writes import JoinedWrites

pytestmark = pytest.mark.anyio


class Recorder(asyncio.Transport):
    """Records what is written, and how the connection ends."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.events.append(bytes(data))

    def close(self) -> None:
        self.events.append("close")

    def abort(self) -> None:
        self.events.append("abort")

    def get_write_buffer_size(self) -> int:
        return 1000


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def transport(recorder: Recorder) -> JoinedWrites:
    return JoinedWrites(recorder, asyncio.get_running_loop())


async def test_what_is_written_in_one_step_is_sent_in_one_piece(recorder: Recorder, transport: JoinedWrites) -> None:
    transport.write(b"head ")
    transport.write(bytearray(b"body"))
    assert recorder.events == []
    await anyio.lowlevel.checkpoint()
    transport.write(b"next")
    await anyio.lowlevel.checkpoint()

    assert recorder.events == [b"head body", b"next"]


async def test_much_is_sent_at_once_so_that_the_writer_can_be_paused(
    recorder: Recorder, transport: JoinedWrites
) -> None:
    transport.write(b"head ")
    transport.write(b"x" * 100_000)
    assert recorder.events == [b"head " + b"x" * 100_000]
    await anyio.lowlevel.checkpoint()

    assert len(recorder.events) == 1


async def test_what_is_left_is_sent_before_the_connection_is_closed(
    recorder: Recorder, transport: JoinedWrites
) -> None:
    transport.write(b"answer")
    transport.close()
    await anyio.lowlevel.checkpoint()

    assert recorder.events == [b"answer", "close"]


async def test_nothing_is_sent_on_a_connection_that_is_aborted(recorder: Recorder, transport: JoinedWrites) -> None:
    transport.write(b"answer")
    transport.abort()
    await anyio.lowlevel.checkpoint()

    assert recorder.events == ["abort"]


async def test_what_waits_counts_as_unsent(transport: JoinedWrites) -> None:
    transport.write(b"12345")

    assert transport.get_write_buffer_size() == 1005
