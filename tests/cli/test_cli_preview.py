"""Pictures as characters."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from databricks_responses_mcp.cli.preview import protocol_of, render, show


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty", "COLORTERM": "truecolor"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "WezTerm", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux", "COLORTERM": "24bit"}, "blocks"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, None),
        ({}, None),
    ],
)
def test_the_protocol_is_the_one_that_the_terminal_tells_of(environ: dict[str, str], protocol: str | None) -> None:
    assert protocol_of(environ) == protocol


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"TERM": "dumb"}, "TERM is dumb"),
        ({"NO_COLOR": "1"}, "NO_COLOR is set"),
        ({"TERM": "xterm-256color"}, "COLORTERM=truecolor"),
        ({"COLORTERM": "truecolor"}, "the file cannot be decoded"),
    ],
)
def test_where_no_picture_is_shown_the_person_is_told_why(
    environ: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("TERM", "NO_COLOR", "COLORTERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "LC_TERMINAL", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    (tmp_path / "fox.png").write_bytes(b"no picture")
    assert reason in show(tmp_path / "fox.png")


def test_where_nobody_looks_nothing_is_said(tmp_path: Path) -> None:
    assert show(tmp_path / "fox.png") == ""


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width, height), 100).convert("RGB")


def test_kitty_gets_the_picture_in_chunks_that_it_takes() -> None:
    picture = noise(300, 200)
    shown = render(picture, "kitty", (60, 20))
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
    assert chunks[0][0] == "a=T,f=100,q=2,c=60,r=20,m=1"
    assert {control for control, _ in chunks[1:-1]} == {"m=1"}
    assert chunks[-1][0] == "m=0"
    assert all(len(data) <= 4096 for _, data in chunks)
    received = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in chunks))))
    assert received.tobytes() == picture.tobytes()


def test_iterm_gets_the_picture_with_its_size_in_cells() -> None:
    picture = noise(40, 80)
    shown = render(picture, "iterm", (60, 20))
    match = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=20;height=20;preserveAspectRatio=1:(.*)\x07\n", shown
    )
    assert match is not None
    data = base64.b64decode(match[2])
    assert len(data) == int(match[1])
    assert Image.open(io.BytesIO(data)).tobytes() == picture.tobytes()


def test_half_blocks_have_two_pixels_a_character_and_leave_transparent_ones_out() -> None:
    picture = Image.new("RGBA", (2, 4))
    for y, colour in enumerate([(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)]):
        picture.putpixel((0, y), colour)
    picture.putpixel((1, 1), (9, 9, 9, 255))
    assert render(picture, "blocks", (2, 2)) == (
        "\x1b[0;38;2;255;0;0;48;2;0;255;0m▀\x1b[0;38;2;9;9;9m▄\x1b[0m\n\x1b[0;38;2;0;0;255m▀\x1b[0m \x1b[0m\n"
    )


@pytest.mark.parametrize("room", [(0, 20), (60, 0), (-1, -5)])
def test_no_room_shows_nothing(room: tuple[int, int]) -> None:
    assert render(noise(10, 10), "blocks", room) == ""
