"""Faults in streams of unnamed chunks, which chat completions and agents send."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from databricks_workspace_emulator.exchange import Aborted, Incoming
from databricks_workspace_emulator.faults import first
from databricks_workspace_emulator.replies import ApiError
from databricks_workspace_emulator.sse import DONE, encode_data

_TOLD = "The embedded workspace was told to fail."


async def play_in_chunks(incoming: Incoming, chunks: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[bytes]:
    """Yield the stream's bytes up to ``[DONE]``, with the requested faults.

    A failure after the first chunk is a chunk too, because the status has been sent.

    Raises:
        Aborted: where the connection is to be closed.
    """
    slow = first(incoming.faults, "slow")
    async with aclosing(_with_faults(incoming, chunks)) as pieces:
        async for piece in pieces:
            step = slow.chunk_bytes if slow else len(piece)
            for start in range(0, len(piece), step):
                yield piece[start : start + step]
    if first(incoming.faults, "close"):
        raise Aborted


async def _with_faults(incoming: Incoming, chunks: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[bytes]:
    breaking = first(incoming.faults, "cut", "malformed", "error_chunk", "failed", "error_event")
    hold = incoming.state.current_hold
    sent = 0
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                if hold is not None:
                    await hold.wait(sent)
                if breaking is not None and sent == breaking.after:
                    if breaking.kind == "cut":
                        raise Aborted
                    if breaking.kind != "malformed":
                        yield encode_data({"error": _TOLD})
                        return
                    yield b'data: {"choices":[{"delta":\n\n'
                yield encode_data(chunk)
                sent += 1
                incoming.exchange.events_sent = sent
        except ApiError as error:
            yield encode_data({"error": str(error)})
    if not first(incoming.faults, "no_terminal"):
        yield DONE
