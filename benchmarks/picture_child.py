"""One way to take a picture, measured in a process of its own: prints its time and peak memory as JSON.

Run as ``python -m benchmarks.picture_child WAY PICTURE WORKDIR``; ways: ``bridge`` and ``traced`` (the bridge under
tracemalloc), and the floors ``decode`` (base64 in memory to a file) and ``stream`` (socket to file, as one would).
"""

import base64
import json
import os
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

import anyio
import httpx

from benchmarks.canned import LARGE_PICTURE_MODEL, SMALL_PICTURE_MODEL, noise_png
from benchmarks.measuring import forget_peak, peak_memory

Take = Callable[[str], Awaitable[None]]
"""Takes the picture of the model named."""


async def _measure(take: Take, *, traced: bool) -> dict[str, float]:
    await take(SMALL_PICTURE_MODEL)
    if traced:
        tracemalloc.start()
        before: float | None = tracemalloc.get_traced_memory()[0]
    else:
        before = forget_peak(os.getpid())
    started = perf_counter()
    await take(LARGE_PICTURE_MODEL)
    seconds = perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1] if traced else peak_memory(os.getpid())
    return {"seconds": seconds, **({"peak": peak - before} if peak is not None and before is not None else {})}


async def _bridge(traced: bool) -> dict[str, float]:
    from databricks_responses_mcp.calls.generated_images import GeneratedImages
    from databricks_responses_mcp.calls.state import App
    from databricks_responses_mcp.turns.bridge import open_bridge
    from databricks_responses_mcp.turns.call_context import CallContext
    from databricks_responses_mcp.turns.image_generation import Drawing, draw
    from databricks_responses_mcp.workspace.settings import load_settings

    async with open_bridge(load_settings(os.environ, {})) as bridge:

        async def take(model: str) -> None:
            taker = GeneratedImages(App(bridge), "noise")
            await draw(
                bridge, Drawing(prompt="noise", model=model), CallContext.start(bridge.settings, take_image=taker)
            )
            assert len(taker.blocks()) == 2

        return await _measure(take, traced=traced)


async def _decode(data: bytes, workdir: Path) -> dict[str, float]:
    texts = {
        LARGE_PICTURE_MODEL: base64.b64encode(data),
        SMALL_PICTURE_MODEL: base64.b64encode(noise_png(1600, 200)),
    }

    async def take(model: str) -> None:
        (workdir / "floor.png").write_bytes(base64.b64decode(texts[model]))

    return await _measure(take, traced=False)


async def _stream(workdir: Path) -> dict[str, float]:
    from httpx_sse import aconnect_sse

    async with httpx.AsyncClient(base_url=os.environ["DATABRICKS_HOST"], timeout=60) as client:

        async def take(model: str) -> None:
            body = {"model": model, "input": "noise", "stream": True}
            async with aconnect_sse(client, "POST", "/serving-endpoints/responses", json=body) as source:
                async for sse in source.aiter_sse():
                    event = json.loads(sse.data)
                    if event["type"] == "response.output_item.done":
                        data = base64.b64decode(event["item"]["result"])
                        (workdir / "floor.png").write_bytes(data)

        return await _measure(take, traced=False)


def _main(way: str, picture: Path, workdir: Path) -> None:
    if way == "decode":
        measured = anyio.run(_decode, picture.read_bytes(), workdir)
    elif way == "stream":
        measured = anyio.run(_stream, workdir)
    else:
        measured = anyio.run(_bridge, way == "traced")
    print(json.dumps(measured))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
