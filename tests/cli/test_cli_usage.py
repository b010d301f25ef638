"""``usage``, and the limits that refuse before anything is spent."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.store.factory import open_store
from databricks_workspace_emulator.server import RunningEmulator
from harness.store_records import a_usage
from harness.terminal import CommandLine, Ran

pytestmark = pytest.mark.anyio

DAY = 86_400


@pytest.fixture
async def spent(bare: CommandLine) -> CommandLine:
    """A machine without a workspace, on which something was spent today, on the day before, and 40 days ago."""
    store = open_store(bare.environ["RESPONSES_MCP_STORE"])
    today = time.time() // DAY * DAY
    await store.add_usage(a_usage(today, conversation_id="conv_a", input_tokens=4000, output_tokens=500))
    await store.add_usage(a_usage(today, tool="image", model="gpt-5-mini", cached_tokens=3))
    await store.add_usage(a_usage(today - 1, tool="", reasoning_tokens=2))
    await store.add_usage(a_usage(today - 40 * DAY, conversation_id="conv_a", output_tokens=2000))
    await store.aclose()
    return bare


def undated(ran: Ran) -> Ran:
    """The same as if today were the 2nd of January 2000."""
    now = time.time()
    out, err = ran.out, ran.err
    for name, day in (("2000-01-02", now), ("2000-01-01", now - DAY), ("2000-01-03", now + DAY)):
        stamp = time.strftime("%Y-%m-%d", time.gmtime(day))
        out, err = out.replace(stamp, name), err.replace(stamp, name)
    return Ran(out, err, ran.code)


async def test_a_pipe_gets_plain_numbers_by_day(spent: CommandLine) -> None:
    assert undated(await spent.run("usage")) == snapshot(
        Ran(
            out="""\
DAY         REQUESTS  INPUT  CACHED  OUTPUT  REASONING  TOKENS
2000-01-01  1         10     0       5       2          15
2000-01-02  2         4010   3       505     0          4515
total       3         4020   3       510     2          4530
""",
            err="",
            code=0,
        )
    )
    assert undated(await spent.run("usage", "--days", "1")) == snapshot(
        Ran(
            out="""\
DAY         REQUESTS  INPUT  CACHED  OUTPUT  REASONING  TOKENS
2000-01-02  2         4010   3       505     0          4515
total       2         4010   3       505     0          4515
""",
            err="",
            code=0,
        )
    )


async def test_usage_is_grouped_by_model_conversation_and_tool(spent: CommandLine) -> None:
    groups = {
        by: (await spent.run("usage", "--by", by, "--days", "400")).out for by in ("model", "conversation", "tool")
    }
    assert groups == snapshot(
        {
            "model": """\
MODEL       REQUESTS  INPUT  CACHED  OUTPUT  REASONING  TOKENS
gpt-5       3         4020   0       2505    2          6525
gpt-5-mini  1         10     3       5       0          15
total       4         4030   3       2510    2          6540
""",
            "conversation": """\
CONVERSATION  REQUESTS  INPUT  CACHED  OUTPUT  REASONING  TOKENS
conv_a        2         4010   0       2500    0          6510
(none)        2         20     3       10      2          30
total         4         4030   3       2510    2          6540
""",
            "tool": """\
TOOL                  REQUESTS  INPUT  CACHED  OUTPUT  REASONING  TOKENS
ask_databricks_model  2         4010   0       2500    0          6510
(none)                1         10     0       5       2          15
image                 1         10     3       5       0          15
total                 4         4030   3       2510    2          6540
""",
        }
    )


async def test_json_has_totals_and_what_is_left_today(spent: CommandLine) -> None:
    ran = undated(await spent.run("usage", "--json", "--days", "1", RESPONSES_MCP_DAILY_TOKEN_BUDGET="5000"))
    assert (json.loads(ran.out), ran.err, ran.code) == snapshot(
        (
            {
                "by": "day",
                "days": 1,
                "groups": [
                    {
                        "day": "2000-01-02",
                        "requests": 2,
                        "input_tokens": 4010,
                        "cached_tokens": 3,
                        "output_tokens": 505,
                        "reasoning_tokens": 0,
                    }
                ],
                "total": {
                    "requests": 2,
                    "input_tokens": 4010,
                    "cached_tokens": 3,
                    "output_tokens": 505,
                    "reasoning_tokens": 0,
                },
                "today": {"tokens": 4515, "budget": 5000, "left": 485, "until": "2000-01-03T00:00:00Z"},
            },
            "",
            0,
        )
    )


async def test_what_is_left_of_todays_budget_is_told_beside_the_table(spent: CommandLine) -> None:
    assert (await spent.run("usage", "--daily-token-budget", "5000")).err == snapshot(
        "Today: 4,515 of 5,000 tokens are spent, 485 are left until midnight UTC.\n"
    )
    assert (await spent.run("usage", "--daily-token-budget", "0")).err == snapshot(
        "Today: 4,515 of 0 tokens are spent, 0 are left until midnight UTC.\n"
    )
    assert await spent.run("usage", RESPONSES_MCP_STORE="off") == Ran("", "Nothing was spent in the last 30 days.\n", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
async def test_a_terminal_gets_bars(spent: CommandLine) -> None:
    from harness.pseudo_terminal import Screen

    screen = Screen()
    async with spent.started(
        "usage", "--by", "tool", "--days", "400", "--daily-token-budget", "9030",
        stdout=screen.theirs, stderr=screen.theirs, TERM="dumb",
    ) as process:  # fmt: skip
        os.close(screen.theirs)
        said = await screen.rest()
        assert await process.wait() == 0
    assert said == snapshot("""\
Tool                  Requests  Input  Cached  Output  Reasoning  Tokens                      \n\
ask_databricks_model         2  4,010       0   2,500          0   6,510  ████████████████████
(none)                       1     10       0       5          2      15                      \n\
image                        1     10       3       5          0      15                      \n\
total                        4  4,030       3   2,510          2   6,540                      \n\
\x1b[2mToday: ██████████░░░░░░░░░░ 4,515 of 9,030 tokens are spent, 4,515 are left until midnight UTC.\x1b[0m
""")


@pytest.mark.slow
async def test_commands_count_for_what_they_are(cli: CommandLine) -> None:
    await cli.run("ask", "[[say hi]]")
    await cli.run("image", "a fox", "--size", "1024x1024", "-n", "2")
    await cli.run("conversations", "compact", *(await cli.run("ask", "[[say hi]]")).conversations)
    groups = json.loads((await cli.run("usage", "--by", "tool", "--json")).out)["groups"]
    assert {group["tool"]: group["requests"] for group in groups} == {"image": 2, "ask": 2, "conversations": 1}
    total = json.loads((await cli.run("usage", "--json")).out)["total"]
    assert {name: sum(group[name] for group in groups) for name in total} == total


@pytest.mark.slow
async def test_a_spent_budget_refuses_before_anything_is_sent(cli: CommandLine, emulator: RunningEmulator) -> None:
    budget = {"RESPONSES_MCP_DAILY_TOKEN_BUDGET": "40"}
    first = await cli.run("ask", "[[words 100]]", **budget)
    second = await cli.run("ask", "hi", **budget)
    drawn = await cli.run("image", "a fox", **budget)
    assert first.folded() == snapshot(
        Ran(
            out="""\
word1 word2 word3 word4 word5 word6 word7 word8 word9 word10 word11 word12 word13 word14 word15
word16 word17 word18 word19 word20 word21 word22 word23 word24 word25 word26 word27 word28 word29
word30 word31 word32 word33 word34 word35 word36 word37 word38 word39 word40
""",
            err="""\
[Incomplete: the answer reached RESPONSES_MCP_DAILY_TOKEN_BUDGET.]

[RESPONSES_MCP_DAILY_TOKEN_BUDGET left 40 tokens for the rest of the day (UTC), and no more for this
answer.]
(embedded-rules as databricks-gpt-5, 10 tokens in, 40 tokens out, conversation CONVERSATION)
""",
            code=0,
        )
    )
    assert (second.out, second.code, drawn.out, drawn.code) == ("", 7, "", 7)
    assert [line.split("Retry after")[0] for line in second.err.splitlines()] == snapshot(
        [
            "budget_exceeded: Today's budget of 40 tokens is spent.",
            "  Wait until midnight UTC, or raise RESPONSES_MCP_DAILY_TOKEN_BUDGET. ",
        ]
    )
    bodies: list[Mapping[str, object]] = [
        exchange.body for exchange in emulator.state.request_log.to("/responses") if isinstance(exchange.body, dict)
    ]
    assert [body["max_output_tokens"] for body in bodies] == [40]


@pytest.mark.slow
async def test_more_output_than_is_allowed_is_refused_and_the_default_is_held_to_it(
    cli: CommandLine, emulator: RunningEmulator
) -> None:
    limit = {"RESPONSES_MCP_MAX_OUTPUT_TOKENS": "50"}
    assert await cli.run("ask", "hi", "--max-output-tokens", "51", **limit) == snapshot(
        Ran(
            out="",
            err="""\
budget_exceeded: max_output_tokens 51 is over this server's limit of 50.
  Ask for less, or raise RESPONSES_MCP_MAX_OUTPUT_TOKENS.
""",
            code=7,
        )
    )
    refused = await cli.run("ask", "hi", "--extra", '{"max_output_tokens": 51}', **limit)
    assert (refused.code, emulator.state.request_log.to("/responses")) == (7, [])
    allowed = await cli.run("ask", "[[say hi]]", **limit)
    assert (allowed.out, allowed.code) == ("hi\n", 0)
    body = emulator.state.request_log.to("/responses")[0].body
    assert isinstance(body, dict)
    assert body["max_output_tokens"] == 50


@pytest.mark.slow
async def test_a_budget_that_cannot_be_looked_up_refuses(cli: CommandLine, emulator: RunningEmulator) -> None:
    Path(cli.environ["RESPONSES_MCP_STORE"]).write_bytes(b"no database at all")
    ran = await cli.run("ask", "hi", RESPONSES_MCP_DAILY_TOKEN_BUDGET="1000")
    assert (ran.out, ran.code, emulator.state.request_log.to("/responses")) == ("", 7, [])
    assert "What was spent today cannot be read, so nothing more is spent" in ran.err
    assert (await cli.run("usage")).code == 1
