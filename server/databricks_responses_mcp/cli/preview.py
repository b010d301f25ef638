"""An image in the terminal: by the protocol that the terminal supports, else as coloured half blocks."""

import base64
import io
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

Protocol = Literal["kitty", "iterm", "blocks"]

_MAX_COLUMNS = 64
_MAX_ROWS = 24
_MAX_PIXELS = (1024, 1024)
_KITTY_CHUNK = 4096
_OPAQUE = 128


def show(path: Path) -> str:
    """Show a saved image on stderr, if that is a terminal that supports it.

    Returns:
        Why it is not shown, for the person at the terminal; empty if it is, or if stderr is not a terminal.
    """
    if not sys.stderr.isatty():
        return ""
    if (protocol := protocol_of(os.environ)) is None:
        return _reason(os.environ)
    from PIL import Image

    terminal = shutil.get_terminal_size()
    area = (min(terminal.columns - 1, _MAX_COLUMNS), min(terminal.lines - 3, _MAX_ROWS))
    try:
        with Image.open(path) as picture:
            shown = render(picture, protocol, area)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "the file cannot be decoded here; it is as the model made it"
    if not shown:
        return "the terminal is too small"
    sys.stderr.write(shown)
    sys.stderr.flush()
    return ""


def _reason(environ: Mapping[str, str]) -> str:
    """Return why `protocol_of` found no protocol."""
    if environ.get("TERM") == "dumb":
        return "TERM is dumb"
    if environ.get("NO_COLOR"):
        return "NO_COLOR is set, and the terminal reports no protocol for images"
    return (
        "the terminal reports no protocol for images (kitty, iTerm2) and no 24-bit colour; "
        "if it has that, set COLORTERM=truecolor"
    )


def protocol_of(environ: Mapping[str, str]) -> Protocol | None:
    """Return the protocol of the terminal, from what it reports about itself."""
    term = environ.get("TERM", "")
    program = environ.get("TERM_PROGRAM", "")
    if term == "dumb":
        return None
    # A multiplexer passes on none of the protocols, only colours.
    if not (environ.get("TMUX") or environ.get("STY") or term.startswith(("screen", "tmux"))):
        if environ.get("KITTY_WINDOW_ID") or "kitty" in term or "ghostty" in (program, term.removeprefix("xterm-")):
            return "kitty"
        if program in ("iTerm.app", "WezTerm", "mintty", "rio") or environ.get("LC_TERMINAL") == "iTerm2":
            return "iterm"
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") and not environ.get("NO_COLOR"):
        return "blocks"
    return None


def render(picture: "Image", protocol: Protocol, area: tuple[int, int]) -> str:
    """Return the characters that draw ``picture``, including a line break; empty if it does not fit.

    Args:
        area: the available columns and rows; the aspect ratio is kept.
    """
    columns, rows = _cells(picture.size, area)
    if columns < 1 or rows < 1:
        return ""
    if protocol == "blocks":
        return _blocks(picture, columns, rows)
    data = _png(picture)
    if protocol == "iterm":
        encoded = base64.b64encode(data).decode("ascii")
        options = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=1"
        return f"\x1b]1337;File={options}:{encoded}\x07\n"
    return _kitty(data, columns, rows)


def _cells(size: tuple[int, int], area: tuple[int, int]) -> tuple[int, int]:
    """Return columns and rows of an image; a cell is assumed to be twice as high as wide."""
    width, height = size
    scale = min(area[0] / width, 2 * area[1] / height)
    if scale <= 0:
        return 0, 0
    return max(1, round(width * scale)), max(1, round(height * scale / 2))


def _png(picture: "Image") -> bytes:
    small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    small.thumbnail(_MAX_PIXELS)
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()


def _kitty(data: bytes, columns: int, rows: int) -> str:
    encoded = base64.b64encode(data).decode("ascii")
    chunks = [encoded[start : start + _KITTY_CHUNK] for start in range(0, len(encoded), _KITTY_CHUNK)]
    parts: list[str] = []
    for number, chunk in enumerate(chunks):
        # q=2: the terminal sends no response, which would become input of the shell.
        first = f"a=T,f=100,q=2,c={columns},r={rows}," if number == 0 else ""
        parts.append(f"\x1b_G{first}m={int(number + 1 < len(chunks))};{chunk}\x1b\\")
    return "".join(parts) + "\n"


def _blocks(picture: "Image", columns: int, rows: int) -> str:
    """Return two pixels for each character: the upper half block in one colour on the other."""
    small = picture.convert("RGBA").resize((columns, 2 * rows))
    data = small.tobytes()

    def pixel(x: int, y: int) -> str | None:
        red, green, blue, alpha = data[(start := 4 * (y * columns + x)) : start + 4]
        return f"{red};{green};{blue}" if alpha >= _OPAQUE else None

    lines: list[str] = []
    for y in range(0, 2 * rows, 2):
        last = ""
        line = ""
        for x in range(columns):
            style, block = _cell(pixel(x, y), pixel(x, y + 1))
            line += block if style == last else style + block
            last = style
        lines.append(f"{line}\x1b[0m\n")
    return "".join(lines)


def _cell(upper: str | None, lower: str | None) -> tuple[str, str]:
    if upper is None:
        return ("\x1b[0m", " ") if lower is None else (f"\x1b[0;38;2;{lower}m", "▄")
    background = "" if lower is None else f";48;2;{lower}"
    return f"\x1b[0;38;2;{upper}{background}m", "▀"
