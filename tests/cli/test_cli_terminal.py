"""What a person at a terminal sees: progress that goes away, an answer without surprises, a picture."""

import json
import os
import re
import sys
from pathlib import Path

import pyte
import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
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
\x1b[2m(embedded-rules as databricks-gpt-5, 17 tokens in, 8 tokens out, conversation
CONVERSATION)\x1b[0m
""")


@pytest.mark.slow
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
Name                     State  Kind           Provider  Class   Surface    Draws  Default
databricks-gpt-5-4       READY  pay per token  -         native  responses  yes    -      \n\
databricks-gpt-5-4-mini  READY  pay per token  -         native  responses  yes    -      \n\
""")


@pytest.mark.slow
async def test_ctrl_c_in_json_gives_what_came(cli: CommandLine, emulator: RunningEmulator) -> None:
    screen = Screen(columns=100)
    with emulator.state.hold(after_events=7) as hold:
        async with cli.started("ask", "[[words 50]]", "--json", stderr=screen.theirs, TERM="xterm-256color") as process:
            os.close(screen.theirs)
            await hold.reached.wait()
            # Progress says that the words have arrived.
            await screen.until(b"17 characters")
            interrupt(process)
            await screen.rest()
            assert process.stdout is not None
            facts = json.loads(b"".join([chunk async for chunk in process.stdout]))
            assert await process.wait() == 130
    assert {name: facts[name] for name in ("text", "status", "incomplete_reason")} == {
        "text": "word1 word2 word3",
        "status": "incomplete",
        "incomplete_reason": "interrupted",
    }


@pytest.fixture
async def filled(cli: CommandLine) -> tuple[CommandLine, list[str]]:
    """A machine with two conversations of long titles; and their ids."""
    words = (
        "[[say It is so because the sky scatters short waves of light more than long ones, and they reach the eye.]]"
    )
    ids = [
        (await cli.run("ask", f"{words} Question {number} with a title of many words")).conversations
        for number in (1, 2)
    ]
    return cli, [named for (named,) in ids]


async def on_screen(cli: CommandLine, columns: int, *arguments: str) -> list[str]:
    """What a terminal so wide shows when a command has ended, as lines; ids as they are."""
    screen = Screen(columns=columns)
    async with cli.started(
        *arguments, stdout=screen.theirs, stderr=screen.theirs, TERM="xterm-256color", COLUMNS=""
    ) as process:
        os.close(screen.theirs)
        await screen.rest()
        assert await process.wait() == 0
    display = pyte.Screen(columns, 200)
    pyte.ByteStream(display).feed(screen.seen)
    return "\n".join(line.rstrip() for line in display.display).strip("\n").splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 120])
async def test_no_id_or_name_is_cut_or_broken_on_a_terminal(
    filled: tuple[CommandLine, list[str]], columns: int
) -> None:
    cli, ids = filled
    listed = await on_screen(cli, columns, "conversations")
    usage = await on_screen(cli, columns, "usage", "--by", "conversation")
    models = await on_screen(cli, columns, "models")
    for lines in (listed, usage):
        assert sorted(line.split()[0] for line in lines[1:3]) == sorted(ids)
    everything = json.loads((await cli.run("models", "--json")).out)
    names = [endpoint["name"] for endpoint in everything["models"]]
    assert [name for name in names if not any(line.split()[:1] == [name] for line in models)] == []
    assert "…" not in "".join([*usage, *models])


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 120])
async def test_an_answer_and_what_is_said_about_it_are_broken_at_words(
    filled: tuple[CommandLine, list[str]], columns: int
) -> None:
    cli, (first, _) = filled
    said = "word " * 40
    lines = await on_screen(cli, columns, "ask", "--conversation", first, f"[[say {said}and {first}]]")
    words = " ".join(lines).split()
    assert (words[:41], words[41]) == ([*["word"] * 40, "and"], first)
    assert words[-1] == f"{first})"
    # As much in a line as fits.
    assert len(lines[0]) + len(" word") >= columns - 1


@pytest.mark.parametrize("columns", [60, 120])
async def test_an_error_is_broken_at_words(cli: CommandLine, columns: int) -> None:
    screen = Screen(columns=columns)
    name = "a-model-that-is-not-there-and-has-a-long-name"
    async with cli.started("ask", "hi", "-m", name, stderr=screen.theirs, TERM="dumb", COLUMNS="") as process:
        os.close(screen.theirs)
        said = await screen.rest()
        assert await process.wait() == 5
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines())) < columns
    assert said.count(name) == 2
    assert "`databricks-responses-mcp\n  models`" in said or "`databricks-responses-mcp models`" in said


async def test_the_findings_of_the_doctor_are_broken_at_words(cli: CommandLine) -> None:
    screen = Screen(columns=60)
    async with cli.started("doctor", "--no-call", stdout=screen.theirs, TERM="dumb", COLUMNS="") as process:
        os.close(screen.theirs)
        said = await screen.rest()
        await process.wait()
    # A path is one word, and stays whole.
    assert [line for line in said.splitlines() if len(line) >= 60 and " " in line.strip()] == []
    assert "pictures:" in said


async def test_piped_text_stays_as_it_is(cli: CommandLine) -> None:
    said = "word " * 100
    ran = await cli.run("ask", f"[[say {said}end]]", COLUMNS="60")
    assert ran.out == f"{said}end\n"
