"""``conversations``, and the commands that go on with one: each command is a process of its own."""

import json
import os
import stat
import sys
import time
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.store.factory import open_store
from databricks_workspace_emulator.server import RunningEmulator
from harness.store_records import STATE, a_turn
from harness.terminal import CommandLine, Ran

# Each starts processes one after the other; tests/stdio has the heart of the matter in the quick suite.
pytestmark = [pytest.mark.anyio, pytest.mark.slow]

posix = pytest.mark.skipif(sys.platform == "win32", reason="terminals and modes of POSIX")
DAY = 86_400


@pytest.fixture
async def kept(bare: CommandLine) -> CommandLine:
    """A machine without a workspace, on which three conversations are kept: two, 40 and 100 days old."""
    store = open_store(bare.environ["RESPONSES_MCP_STORE"])
    for name, days, title in (("old", 100.5, "Tax return"), ("newer", 40.5, "Bird names"), ("newest", 2.5, "tax law")):
        usage = {"input_tokens": 1200, "output_tokens": 34}
        turn = a_turn(created_at=time.time() - days * DAY, usage=usage)
        await store.add_turn(f"conv_{name}", turn, STATE, title=title)
    await store.aclose()
    return bare


def words_sent(emulator: RunningEmulator, request: int) -> list[str]:
    """What the request to a model had in it: types of parts, or texts."""
    body = emulator.state.request_log.to("/responses")[request].body
    assert isinstance(body, dict)
    said = []
    for item in body["input"]:
        content = item.get("content") or [item]
        said += [part.get("text") or part["type"] for part in content]
    return said


async def test_another_process_goes_on_with_a_conversation(cli: CommandLine, emulator: RunningEmulator) -> None:
    first = await cli.run("ask", "[[say one]]", "--instructions", "Be brief.")
    other = await cli.run("ask", "[[say other]]")
    second = await cli.run("ask", "--conversation", first.conversations[0], "[[say two]]")
    newest = await cli.run("ask", "--continue", "[[say three]]", "--json")
    assert [ran.out for ran in (first, other, second)] == ["one\n", "other\n", "two\n"]
    assert second.err == snapshot(
        "(embedded-rules as databricks-gpt-5, 32 tokens in, 1 token out, conversation CONVERSATION)\n"
    )
    assert first.conversations == second.conversations == newest.conversations != other.conversations
    assert words_sent(emulator, 3) == ["[[say one]]", "one", "[[say two]]", "two", "[[say three]]"]
    bodies = [exchange.body for exchange in emulator.state.request_log.to("/responses")]
    assert [isinstance(body, dict) and body.get("instructions") for body in bodies] == [
        "Be brief.",
        None,
        "Be brief.",
        "Be brief.",
    ]


async def test_pictures_and_words_share_a_conversation(cli: CommandLine, emulator: RunningEmulator) -> None:
    asked = await cli.run("ask", "A fox, please, but [[say wait]].")
    [conversation] = asked.conversations
    drawn = await cli.run("image", "--conversation", conversation, "now draw it", "--size", "1024x1024")
    assert (drawn.conversations, drawn.code) == ((conversation,), 0)
    assert words_sent(emulator, 1) == ["A fox, please, but [[say wait]].", "wait", "now draw it"]
    changed = await cli.run("image", "--conversation", conversation, "the same in winter", "--size", "1024x1024")
    assert changed.code == 0
    picture = emulator.state.request_log.to("/responses")[2].body
    assert isinstance(picture, dict)
    shown = next(item for item in picture["input"] if item.get("type") == "image_generation_call")
    assert len(shown["result"]) > 1000


async def test_a_pipe_gets_columns_without_colour_and_no_workspace_is_needed(kept: CommandLine) -> None:
    assert await kept.run("conversations", FORCE_COLOR="") == snapshot(
        Ran(
            out="""\
ID           MODEL  TURNS  TOKENS  AGE    TITLE
conv_newest  gpt-5  1      1234    2 d    tax law
conv_newer   gpt-5  1      1234    40 d   Bird names
conv_old     gpt-5  1      1234    100 d  Tax return
""",
            err="",
            code=0,
        )
    )


async def test_a_list_is_narrowed_down(kept: CommandLine) -> None:
    chosen = await kept.run("conversations", "list", "--contains", "TAX", "--json")
    listed = json.loads(chosen.out)
    assert [entry.pop("updated_at")[-1] for entry in listed["conversations"]] == ["Z", "Z"]
    assert listed == snapshot(
        {
            "conversations": [
                {
                    "conversation_id": "conv_newest",
                    "title": "tax law",
                    "model": "gpt-5",
                    "endpoint": "gpt",
                    "turns": 1,
                    "input_tokens": 1200,
                    "output_tokens": 34,
                },
                {
                    "conversation_id": "conv_old",
                    "title": "Tax return",
                    "model": "gpt-5",
                    "endpoint": "gpt",
                    "turns": 1,
                    "input_tokens": 1200,
                    "output_tokens": 34,
                },
            ],
            "total": 2,
        }
    )
    assert await kept.run("conversations", "--older-than", "40", "--limit", "1") == snapshot(
        Ran(
            out="""\
ID          MODEL  TURNS  TOKENS  AGE   TITLE
conv_newer  gpt-5  1      1234    40 d  Bird names
""",
            err="These are the newest 1 of 2; --limit shows more.\n",
            code=0,
        )
    )
    assert await kept.run("conversations", "--contains", "nowhere") == Ran("", "No conversation matches.\n", 0)
    assert await kept.run("conversations", RESPONSES_MCP_STORE="off") == Ran("", "No conversation is stored.\n", 0)


async def test_show_prints_markdown_and_export_everything(cli: CommandLine) -> None:
    [conversation] = (
        await cli.run("ask", "[[say ```x```]] # not a heading", "--instructions", "Be kind.")
    ).conversations
    shown = await cli.run("conversations", "show", conversation)
    lines = shown.out.splitlines()
    moment = lines[8].split("(")[1].rstrip(")")
    assert shown.out.replace(moment, "MOMENT") == snapshot("""\
# [[say ```x```]] # not a heading

`CONVERSATION`, 1 turn

**Instructions**

Be kind.

## 1. You (MOMENT)

[[say ```x```]] # not a heading

## 1. embedded-rules

```x```
""")
    whole = json.loads((await cli.run("conversations", "export", conversation, "--format", "json")).out)
    assert whole["state"]["parameters"] == snapshot({"instructions": "Be kind."})
    assert [list(turn) for turn in whole["turns"]] == snapshot(
        [["number", "endpoint", "model", "said", "items", "status", "created_at", "response_id", "usage"]]
    )
    assert json.loads((await cli.run("conversations", "show", conversation, "--json")).out) == whole


async def test_an_export_overwrites_nothing_unless_told_to(kept: CommandLine) -> None:
    target = kept.directory / "bird names.md"
    first = await kept.run("conversations", "export", "conv_newer", "-o", target.name)
    assert (first.out, first.err, first.code) == (f"{target}\n", "", 0)
    assert target.read_text(encoding="utf-8").startswith("# Bird names\n")
    if sys.platform != "win32":
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text("mine", encoding="utf-8")
    again = await kept.run("conversations", "export", "conv_newer", "-o", target.name)
    assert again == Ran(
        "", f"invalid_argument: {target} exists.\n  Name another file, or add --force to replace it.\n", 2
    )
    assert target.read_text(encoding="utf-8") == "mine"
    forced = await kept.run("conversations", "export", "conv_newer", "-o", target.name, "--force")
    assert (forced.code, target.read_text(encoding="utf-8")[:6]) == (0, "# Bird")
    nowhere = await kept.run("conversations", "export", "conv_newer", "-o", "missing/x.md")
    assert (nowhere.code, nowhere.err.splitlines()[1]) == (1, "  Name another file with --output.")
    folder = await kept.run("conversations", "export", "conv_newer", "-o", ".", "--force")
    assert folder == Ran("", f"invalid_argument: {kept.directory} is a folder.\n  Name a file in it.\n", 2)
    assert sorted(path.name for path in kept.directory.glob("*.md*")) == ["bird names.md"]


async def test_deleting_names_what_goes_and_needs_a_yes(kept: CommandLine) -> None:
    assert await kept.run("conversations", "delete", "--older-than", "40") == snapshot(
        Ran(
            out="",
            err="""\
conv_newer  Bird names
conv_old    Tax return
invalid_argument: Nothing was deleted: there is no terminal to ask at.
  Add --yes to delete these 2 conversations.
""",
            code=2,
        )
    )
    assert await kept.run("conversations", "delete", "conv_old", "conv_nobody", "--yes") == snapshot(
        Ran(
            out="",
            err="""\
not_found: There is no conversation 'conv_nobody'.
  Run `databricks-responses-mcp conversations list` to see the stored conversations.
""",
            code=5,
        )
    )
    for wrong in ([], ["conv_old", "--older-than", "1"]):
        ran = await kept.run("conversations", "delete", *wrong, "--yes")
        assert (ran.out, ran.code) == ("", 2)
    assert await kept.run("conversations", "delete", "conv_old", "conv_old", "--yes") == Ran(
        "conv_old  Tax return\n", "", 0
    )
    deleted = await kept.run("conversations", "delete", "--older-than", "0", "--yes", "--json")
    assert [entry["title"] for entry in json.loads(deleted.out)["deleted"]] == ["tax law", "Bird names"]
    nothing = await kept.run("conversations", "delete", "--older-than", "0", "--yes")
    assert nothing == Ran("", "There was nothing to delete.\n", 0)


@posix
@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 130, 3), (b"y\n", 0, 2)])
async def test_a_terminal_is_asked_before_anything_goes(kept: CommandLine, answer: bytes, code: int, left: int) -> None:
    from harness.pseudo_terminal import Screen

    screen = Screen()
    async with kept.started(
        "conversations", "delete", "conv_old", stdin=screen.theirs, stderr=screen.theirs, TERM="dumb"
    ) as process:
        os.close(screen.theirs)
        await screen.until(b"[y/N]")
        await screen.type(answer)
        said = await screen.rest()
        assert await process.wait() == code
    assert said.startswith("conv_old  Tax return\nDelete this conversation? [y/N]")
    assert json.loads((await kept.run("conversations", "--json")).out)["total"] == left


@posix
async def test_a_terminal_gets_a_table_whose_titles_are_cut_to_fit(kept: CommandLine) -> None:
    from harness.pseudo_terminal import Screen

    store = open_store(kept.environ["RESPONSES_MCP_STORE"])
    await store.add_turn(
        "conv_long", a_turn(created_at=time.time() - 3 * 3600), STATE, title="\x1b]0;owned\x07" + "long " * 20
    )
    await store.aclose()
    screen = Screen()
    async with kept.started(
        "conversations", "--limit", "2", stdout=screen.theirs, TERM="dumb", COLUMNS="60"
    ) as process:
        os.close(screen.theirs)
        said = await screen.rest()
        assert await process.wait() == 0
    assert said == snapshot("""\
Id           Model  Turns  Tokens  Age  Title               \n\
conv_long    gpt-5      1       0  3 h  \\x1b]0;owned\\x07lon…
conv_newest  gpt-5      1    1234  2 d  tax law             \n\
""")


async def test_a_summary_stands_for_the_turns_so_far(cli: CommandLine, emulator: RunningEmulator) -> None:
    [conversation] = (await cli.run("ask", "[[say one]]")).conversations
    summed_up = await cli.run("conversations", "compact", conversation)
    assert summed_up.folded() == snapshot(
        Ran(
            out="""\
No model was asked: this is the embedded workspace's rule engine.
You sent 271 characters in 49 words, beginning: “Sum this conversation up, so that it can be
continued from your …”
The conversation has 1 earlier answer.
""",
            err="(embedded-rules as databricks-gpt-5, 86 tokens in, 56 tokens out, conversation CONVERSATION)\n",
            code=0,
        )
    )
    await cli.run("ask", "--continue", "[[say two]]")
    sent = words_sent(emulator, 2)
    assert (sent[0][:45], sent[1:]) == ("This is a summary of the conversation so far:", ["[[say two]]"])
    shown = (await cli.run("conversations", "show", conversation)).out
    assert "*From here on, the next message replaces everything above.*" in shown
    await cli.run("conversations", "compact", conversation)
    again = await cli.run("conversations", "compact", conversation)
    assert again.folded() == snapshot(
        Ran(
            out="",
            err="""\
invalid_argument: Conversation 'CONVERSATION' already consists of a summary only.
  To continue it, run `databricks-responses-mcp ask --conversation CONVERSATION`.
""",
            code=2,
        )
    )


async def test_what_is_not_there_is_not_found(cli: CommandLine, emulator: RunningEmulator) -> None:
    wrong = {
        "ask": ("ask", "--conversation", "conv_x", "hi"),
        "image": ("image", "--conversation", "conv_x", "hi"),
        "continue": ("ask", "--continue", "hi"),
        "show": ("conversations", "show", "conv_x"),
        "export": ("conversations", "export", "conv_x", "-o", "x.md"),
        "compact": ("conversations", "compact", "conv_x"),
    }
    ran = {name: await cli.run(*arguments) for name, arguments in wrong.items()}
    assert {one.code for one in ran.values()} == {5}
    assert {name: one.folded().err for name, one in ran.items()} == snapshot(
        {
            "ask": """\
not_found: There is no conversation 'conv_x'.
  Run `databricks-responses-mcp conversations list` to see the stored conversations. Run
`databricks-responses-mcp ask` to start a new conversation.
""",
            "image": """\
not_found: There is no conversation 'conv_x'.
  Run `databricks-responses-mcp conversations list` to see the stored conversations. Run
`databricks-responses-mcp ask` to start a new conversation.
""",
            "continue": """\
not_found: There is no conversation to continue: none is stored.
  Check that RESPONSES_MCP_STORE is not off. Run `databricks-responses-mcp ask` to start a new
conversation.
""",
            "show": """\
not_found: There is no conversation 'conv_x'.
  Run `databricks-responses-mcp conversations list` to see the stored conversations.
""",
            "export": """\
not_found: There is no conversation 'conv_x'.
  Run `databricks-responses-mcp conversations list` to see the stored conversations.
""",
            "compact": """\
not_found: There is no conversation 'conv_x'.
  Run `databricks-responses-mcp conversations list` to see the stored conversations.
""",
        }
    )
    assert emulator.state.request_log.to("/responses") == []
    both = await cli.run("ask", "--conversation", "conv_x", "--continue", "hi")
    assert (both.out, both.code) == ("", 2)


@pytest.mark.parametrize("broken", ["damaged", "cannot be made"])
async def test_an_answer_that_cannot_be_kept_is_given_with_a_warning(cli: CommandLine, broken: str) -> None:
    store = Path(cli.environ["RESPONSES_MCP_STORE"])
    store.write_bytes(b"no database at all" * 100)
    if broken == "cannot be made":
        store = store / "conversations.db"
    asked = await cli.run("ask", "[[say hello]]", RESPONSES_MCP_STORE=str(store))
    drawn = await cli.run("image", "a fox", "--size", "1024x1024", "--json", RESPONSES_MCP_STORE=str(store))
    assert (asked.out, asked.code, drawn.code) == ("hello\n", 0, 0)
    facts = json.loads(drawn.out)
    assert Path(facts["images"][0]["path"]).exists()
    assert ("conversation_id" in facts, len(facts["notes"])) == (False, 1)
    for ran in (asked, drawn):
        assert "This turn could not be stored: " in ran.err
        assert ran.conversations == ()
    listed = await cli.run("conversations", "--json", RESPONSES_MCP_STORE=str(store))
    assert (json.loads(listed.out)["error"]["code"], listed.code) == ("internal", 1)
    assert Path(cli.environ["RESPONSES_MCP_STORE"]).read_bytes() == b"no database at all" * 100


async def test_a_store_that_is_off_names_no_conversation_to_go_on_with(cli: CommandLine) -> None:
    ran = await cli.run("ask", "[[say hello]]", RESPONSES_MCP_STORE="off")
    assert ran == snapshot(
        Ran(out="hello\n", err="(embedded-rules as databricks-gpt-5, 10 tokens in, 1 token out)\n", code=0)
    )


async def test_only_a_retention_that_is_set_here_deletes(kept: CommandLine, emulator: RunningEmulator) -> None:
    workspace = {"DATABRICKS_HOST": emulator.host, "DATABRICKS_TOKEN": emulator.token}
    await kept.run("ask", "[[say hello]]", **workspace)
    assert json.loads((await kept.run("conversations", "--json")).out)["total"] == 4
    await kept.run("ask", "[[say hello]]", RESPONSES_MCP_STORE_DAYS="60", **workspace)
    titles = [entry["title"] for entry in json.loads((await kept.run("conversations", "--json")).out)["conversations"]]
    assert titles == ["[[say hello]]", "[[say hello]]", "tax law", "Bird names"]


@posix
async def test_a_reader_that_has_left_ends_the_command_without_a_word(kept: CommandLine) -> None:
    for arguments in (("show", "conv_old"), ("list",), ("export", "conv_old")):
        reading, writing = os.pipe()
        os.close(reading)
        async with kept.started("conversations", *arguments, stdout=writing) as process:
            os.close(writing)
            assert process.stderr is not None
            said = b"".join([chunk async for chunk in process.stderr])
            assert (said, await process.wait()) == (b"", 141)


async def test_two_processes_at_once_lose_no_turn(cli: CommandLine) -> None:
    [conversation] = (await cli.run("ask", "[[say one]]")).conversations
    ran: list[Ran] = []

    async def go_on(word: str) -> None:
        ran.append(await cli.run("ask", "--conversation", conversation, f"[[say {word}]]"))

    async with anyio.create_task_group() as tasks:
        for word in ("two", "three"):
            tasks.start_soon(go_on, word)
    assert sorted(one.out for one in ran) == ["three\n", "two\n"]
    kept = (await cli.run("conversations")).conversations
    shown = "".join([(await cli.run("conversations", "show", conversation)).out for conversation in kept])
    assert all(f"\n\n{word}\n" in shown for word in ("one", "two", "three"))
