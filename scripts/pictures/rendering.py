"""From a terminal's screen, or a web page, to a small PNG, by way of a headless Chromium."""

import html
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte
from PIL import Image

_COLOURS = {
    "default": "", "black": "#3b4252", "red": "#f07178", "green": "#8fd19e", "brown": "#e8c97a", "blue": "#7aa8f0",
    "magenta": "#d6a5e8", "cyan": "#7fd4d4", "white": "#e6e6e6", "brightblack": "#7f8792", "brightred": "#ff8f96",
    "brightgreen": "#a9e6b5", "brightbrown": "#ffe19b", "brightblue": "#9cc1ff", "brightmagenta": "#eabfff",
    "brightcyan": "#a2efef", "brightwhite": "#ffffff",
}  # fmt: skip
_PAPER, _INK = "#14171c", "#dfe3e8"
_STYLE = """
body { margin: 0; background: #14171c; color: #dfe3e8; }
main { margin: 14px 16px; font: 15px 'DejaVu Sans Mono', monospace; white-space: pre; }
div { height: 19px; line-height: 19px; overflow: hidden; }
span { display: inline-block; height: 19px; vertical-align: top; }
b { font-weight: 700 }
i { font-style: normal; display: inline-block; width: 1ch; height: 19px; vertical-align: top; overflow: hidden; }
"""
_CHARACTER, _LINE, _MARGINS = 9.04, 19, (32, 28)
_MAX_COLOURS = 96
_REPLACED = {"⎿": "└"}  # characters that the font does not have
_HALVES: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "▀": lambda ink, paper: (ink, paper),
    "▄": lambda ink, paper: (paper, ink),
    "█": lambda ink, _: (ink, ink),
}


def picture_of_terminal(ansi: str, columns: int, target: Path) -> None:
    """Draw what a terminal shows; at most two empty lines in a row are kept."""
    lines = ansi.split("\n")
    screen = pyte.Screen(columns, len(lines))
    stream = pyte.Stream(screen)
    stream.feed("\r\n".join(lines))
    cells = [[screen.buffer[row][column] for column in range(columns)] for row in range(len(lines))]
    rows = _without_empty_rows(cells)
    paper = _background(rows)
    body = f"<style>body {{ background: {paper} }}</style>" + "".join(f"<div>{_row(row)}</div>" for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "screen.html"
        page.write_text(f"<meta charset=utf-8><style>{_STYLE}</style><main>{body}</main>", encoding="utf-8")
        size = (round(columns * _CHARACTER) + _MARGINS[0], round(len(rows) * _LINE) + _MARGINS[1])
        picture_of_page(page.as_uri(), size, target)


def picture_of_page(url: str, size: tuple[int, int], target: Path, *more: str) -> None:
    """Draw a page, with as few colours as do."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        where = (f"--screenshot={shot}", f"--window-size={size[0]},{size[1]}")
        chromium(*where, "--force-device-scale-factor=1.25", *more, url)
        shrink(shot, target)


def shrink(shot: Path, target: Path) -> None:
    """Save a picture with as few colours as do."""
    with Image.open(shot) as picture:
        picture.convert("RGB").quantize(_MAX_COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def chromium(*arguments: str) -> None:
    """Run the browser, headless, to its end."""
    subprocess.run([*command(), *arguments], check=True, timeout=120, capture_output=True)


def command() -> list[str]:
    """What starts the browser, headless."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("Chromium is needed.")
    return [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]


def _without_empty_rows(rows: Sequence[Sequence[pyte.screens.Char]]) -> list[Sequence[pyte.screens.Char]]:
    kept: list[Sequence[pyte.screens.Char]] = []
    empty = 2  # so that none is kept at the top
    for row in rows:
        empty = empty + 1 if all(not cell.data.strip() and not cell.reverse for cell in row) else 0
        if empty <= 2:
            kept.append(row)
    return kept[:-empty] if 0 < empty <= 2 else kept[:-2] if empty else kept


def _background(rows: Sequence[Sequence[pyte.screens.Char]]) -> str:
    """Return the colour at the left edge: a full-screen program paints a background of its own."""
    counted = Counter(_colour(row[0].bg) for row in rows)
    return (counted.most_common(1)[0][0] if counted else "") or _PAPER


def _row(cells: Sequence[pyte.screens.Char]) -> str:
    parts: list[str] = []
    skip = False
    for cell in cells:
        if skip:  # the second half of a wide character
            skip = False
            continue
        if not cell.data:
            continue
        foreground, background = _colour(cell.fg), _colour(cell.bg)
        if cell.reverse:
            foreground, background = background or _PAPER, foreground or _INK
        text = html.escape(_REPLACED.get(cell.data, cell.data))
        if cell.data in _HALVES:  # fonts leave gaps between them
            halves = _HALVES[cell.data](foreground or _INK, background)
            over, under = (half or "transparent" for half in halves)
            parts.append(f'<i style="background:linear-gradient({over} 50%,{under} 50%)"></i>')
            continue
        if not cell.data.isascii():
            text = f"<i>{text}</i>"
        if cell.bold:
            text = f"<b>{text}</b>"
        style = ";".join(
            part
            for part in (
                f"color:{foreground}" if foreground else "",
                f"background:{background}" if background else "",
                "text-decoration:underline" if cell.underscore else "",
            )
            if part
        )
        parts.append(f'<span style="{style}">{text}</span>' if style else text)
    return "".join(parts)


def _colour(name: str) -> str:
    return _COLOURS.get(name, f"#{name}")
