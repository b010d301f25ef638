"""A workspace that costs next to nothing: it answers every POST with bytes made in advance, in its own process.

Run as ``python -m benchmarks.upstream [--picture FILE]``; prints its port and serves until stdin closes.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.canned import (
    ANSWER_DELTAS,
    LARGE_PICTURE_MODEL,
    SIZED_MODEL,
    SMALL_PICTURE_MODEL,
    as_base64,
    chat_json,
    noise_png,
    picture_events,
    server_sent,
    sized_events,
    text_events,
    text_json,
)

_SLICE = 64 * 1024
_MODEL_WITHIN = 2048
"""The model is named within so many bytes at the beginning of a request."""
_HEAD = b"HTTP/1.1 200 OK\r\nx-request-id: canned\r\n"


def _stream(events: list[dict[str, object]]) -> list[bytes]:
    """A chunked answer of server-sent events, one event a chunk, large ones cut as a server cuts them."""
    head = _HEAD + b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [head]
    for event in events:
        data = server_sent(event)
        for at in range(0, len(data), _SLICE):
            piece = data[at : at + _SLICE]
            pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    pieces.append(b"0\r\n\r\n")
    # Small pieces go out together: the upstream's own system calls must not be what is measured.
    return [b"".join(pieces)] if sum(map(len, pieces)) < _SLICE else pieces


def _whole(body: bytes) -> list[bytes]:
    head = _HEAD + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    return [head + body]


class _Answers:
    def __init__(self, picture: bytes | None) -> None:
        self.text_stream = _stream(text_events(ANSWER_DELTAS))
        self.text_json = _whole(text_json(ANSWER_DELTAS))
        self.chat_json = _whole(chat_json(ANSWER_DELTAS))
        # Larger than what is shown inline, so that it warms up the making of thumbnails too.
        self.small = _stream(picture_events(as_base64(noise_png(1600, 200)))) if picture else []
        self.large = _stream(picture_events(as_base64(picture))) if picture else []
        self.sized: dict[tuple[bytes, int], list[bytes]] = {}

    def to(self, head: bytes, body: bytes) -> list[bytes]:
        if b"/chat/completions " in head[:_MODEL_WITHIN]:
            return self.chat_json
        if (named := SIZED_MODEL.search(body, 0, _MODEL_WITHIN)) is not None:
            kind, count = named[1], int(named[2])
            if (kind, count) not in self.sized:
                self.sized[kind, count] = _stream(sized_events(kind.decode(), count))
            return self.sized[kind, count]
        if LARGE_PICTURE_MODEL.encode() in body:
            return self.large
        if SMALL_PICTURE_MODEL.encode() in body:
            return self.small
        return self.text_stream if b'"stream":true' in body else self.text_json


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: _Answers) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            for piece in answers.to(head, await reader.readexactly(length)):
                writer.write(piece)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _main(answers: _Answers) -> None:
    serving: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve(reader, writer, answers))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    server.close()
    for task in serving:
        task.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", type=Path)
    picture: Path | None = parser.parse_args().picture
    asyncio.run(_main(_Answers(picture.read_bytes() if picture else None)))
