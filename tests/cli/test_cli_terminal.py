"""What a person at a terminal sees: progress that goes away, an answer without surprises, a picture."""

import os
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.emulator.server import RunningEmulator
from harness.terminal import CommandLine, interrupt

if sys.platform == "win32":
    pytest.skip("terminals of POSIX", allow_module_level=True)

from harness.pseudo_terminal import Screen

pytestmark = pytest.mark.anyio


async def test_a_terminal_shows_what_is_awaited_until_the_answer_comes(
    cli: CommandLine, emulator: RunningEmulator
) -> None:
    screen = Screen()
    with emulator.state.hold(after_events=2) as hold:
        async with cli.started(
            "ask",
            "[[say safe\x1b]0;owned\x07 text]]",
            stdout=screen.theirs,
            stderr=screen.theirs,
            TERM="xterm-256color",
        ) as process:
            os.close(screen.theirs)
            await screen.until(b"databricks-gpt-5: the model is answering")
            hold.release()
            said = await screen.rest()
            assert await process.wait() == 0
    # The cursor is back, the line is gone, and what the model said cannot rename the window.
    waiting, shown = said.rsplit("\x1b[2K", 1)
    assert "\x1b[?25l" in waiting
    assert shown == snapshot("""\
safe]0;owned text
\x1b[2m(embedded-rules as databricks-gpt-5, 17 tokens in, 8 tokens out, conversation CONVERSATION)\x1b[0m
""")


async def test_a_picture_shows_in_the_terminal_and_its_path_alone_goes_down_the_pipe(cli: CommandLine) -> None:
    screen = Screen()
    async with cli.started(
        "image", "a fox", "--size", "1024x1024", "-n", "2", stderr=screen.theirs,
        TERM="xterm-256color", COLORTERM="truecolor", LINES="12",
    ) as process:  # fmt: skip
        os.close(screen.theirs)
        said = await screen.rest()
        assert process.stdout is not None
        out = b"".join([chunk async for chunk in process.stdout]).decode()
        assert await process.wait() == 0
    paths = [Path(line) for line in out.splitlines()]
    assert [path.read_bytes()[:4] for path in paths] == [b"\x89PNG", b"\x89PNG"]
    blocks = [line for line in said.splitlines() if "▀" in line]
    # As many rows as the terminal has room for, for each picture.
    assert (len(blocks), all(line.count("▀") == 18 for line in blocks)) == (18, True)
    assert "2/2" in said


async def test_ctrl_c_at_a_terminal_gives_the_cursor_back(cli: CommandLine, emulator: RunningEmulator) -> None:
    screen = Screen()
    with emulator.state.hold() as hold:
        async with cli.started("ask", "hi", stderr=screen.theirs, TERM="xterm-256color") as process:
            os.close(screen.theirs)
            await hold.reached.wait()
            await screen.until(b"waiting")
            interrupt(process)
            said = await screen.rest()
            assert await process.wait() == 130
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")


async def test_a_terminal_gets_a_table(cli: CommandLine) -> None:
    screen = Screen()
    async with cli.started("models", "--filter", "gpt-5-4", stdout=screen.theirs, TERM="dumb") as process:
        os.close(screen.theirs)
        said = await screen.rest()
        assert await process.wait() == 0
    assert said == snapshot("""\
Name                     State  Class   Surface    Draws  Default
databricks-gpt-5-4       READY  native  responses  yes    -      \n\
databricks-gpt-5-4-mini  READY  native  responses  yes    -      \n\
""")
