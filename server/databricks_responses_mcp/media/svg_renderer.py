"""The program that renders an SVG, in a separate process that can be ended.

It reads an SVG that `svg.clean_svg` returned from stdin, and writes a PNG to stdout.
"""

import sys

from databricks_responses_mcp.bounded_process import limit_this_process

CPU_SECONDS = 20
MEMORY_BYTES = 2 * 1024**3
MAX_SIDE = 1568
"""In pixels, for the longer side of the image."""


def main() -> None:
    """Render one SVG; the first argument of the program is `width` or `height`: the longer side."""
    limit_this_process(cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES)
    import resvg_py

    head, _, text = sys.stdin.buffer.read().partition(b"\n")
    is_wide = head == b"wide"
    picture = resvg_py.svg_to_bytes(
        svg_string=text.decode("utf-8"), width=MAX_SIDE if is_wide else None, height=None if is_wide else MAX_SIDE
    )
    sys.stdout.buffer.write(picture)


if __name__ == "__main__":
    main()
