"""Rendering an SVG to pixels, if the optional renderer (``databricks-responses-mcp[svg]``) is installed."""

import importlib.util
from pathlib import Path

import anyio
import anyio.to_thread

from databricks_responses_mcp.bounded_process import run_bounded
from databricks_responses_mcp.media.svg import CleanSvg, SvgError, clean_svg

WALL_SECONDS = 60.0
"""The time limit of rendering; long enough for a busy machine."""


def can_render_svg() -> bool:
    """Return whether the renderer is installed."""
    return importlib.util.find_spec("resvg_py") is not None


async def render_svg(svg: CleanSvg) -> bytes | None:
    """Return a PNG of an SVG; None if it cannot be drawn within the limits."""
    is_wide = svg.size is None or svg.size[0] >= svg.size[1]
    request = (b"wide\n" if is_wide else b"high\n") + svg.data
    return await run_bounded("databricks_responses_mcp.media.svg_renderer", request, wall_seconds=WALL_SECONDS) or None


async def pixels_of(source: bytes | Path, limiter: anyio.CapacityLimiter) -> bytes | None:
    """Return a PNG of an SVG, or of an SVG file; None if it cannot be drawn.

    Args:
        limiter: limits the number of concurrent renderings.
    """

    def clean() -> CleanSvg:
        return clean_svg(source.read_bytes() if isinstance(source, Path) else source)

    if not can_render_svg():
        return None
    try:
        svg = await anyio.to_thread.run_sync(clean)
    except (SvgError, OSError):
        return None
    async with limiter:
        return await render_svg(svg)
