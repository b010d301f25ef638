"""``ask``: the answer alone on stdout, everything about it on stderr, the exit code for scripts."""

import io
import json
import os
import re
import sys
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.cli.main import run
from databricks_responses_mcp.cli.prompt import read_prompt
from databricks_responses_mcp.errors import BridgeError
from databricks_workspace_emulator.server import RunningEmulator
from harness.documents import pdf
from harness.terminal import CommandLine, Ran, interrupt, without_ids

pytestmark = pytest.mark.anyio

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


async def test_the_answer_alone_is_on_stdout(cli: CommandLine) -> None:
    assert await cli.run("ask", "[[say Forty-two.]]") == snapshot(
        Ran(
            out="Forty-two.\n",
            err="(embedded-rules as databricks-gpt-5, 13 tokens in, 4 tokens out, conversation CONVERSATION)\n",
            code=0,
        )
    )


async def test_what_is_piped_in_and_files_come_after_the_argument(cli: CommandLine, emulator: RunningEmulator) -> None:
    (cli.directory / "notes.md").write_text("one\ntwo\nthree\n", encoding="utf-8")
    ran = await cli.run(
        "ask", "Sum up [[say ok]]", "--file", "notes.md:2-3", "--verbosity", "low", "--reasoning-effort", "minimal",
        "--max-output-tokens", "99", "--instructions", "Be brief.", "--extra", '{"metadata": {"team": "a"}}',
        stdin="\ufeffpiped in\n".encode(),
    )  # fmt: skip
    assert (ran.out, ran.code) == ("ok\n", 0)
    assert emulator.state.request_log.to("/responses")[0].body == snapshot(
        {
            "model": "databricks-gpt-5",
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {
                            "type": "input_text",
                            "text": """\
Sum up [[say ok]]

piped in

File: notes.md (lines 2-3 of 3)
```
two
three
```\
""",
                        }
                    ],
                }
            ],
            "stream": True,
            "instructions": "Be brief.",
            "max_output_tokens": 99,
            "metadata": {"team": "a"},
            "reasoning": {"effort": "minimal"},
            "text": {"verbosity": "low"},
            "include": ["reasoning.encrypted_content"],
        }
    )


async def test_json_loses_no_character_where_the_encoding_of_stdout_has_few(cli: CommandLine) -> None:
    ran = await cli.run("ask", "[[say zwölf \u202f 😀]]", "--json", PYTHONIOENCODING="cp1252")
    assert json.loads(ran.out)["text"] == "zwölf \u202f 😀"
    assert ran.out.isascii()


async def test_json_has_every_fact_and_nothing_is_streamed(cli: CommandLine) -> None:
    ran = await cli.run("ask", "-", "--json", stdin=b"[[commentary]] hello")
    facts = json.loads(ran.out)
    assert facts.pop("response_id").startswith("resp_")
    assert facts.pop("conversation_id") == "CONVERSATION"
    assert facts["output"][0].pop("id").startswith("msg_")
    assert (facts, ran.code) == snapshot(
        (
            {
                "text": """\
No model was asked: this is the embedded workspace's rule engine.
You sent 20 characters in 2 words, beginning: “[[commentary]] hello”\
""",
                "status": "completed",
                "model": "embedded-rules",
                "endpoint": "databricks-gpt-5",
                "output": [
                    {
                        "type": "message",
                        "status": "completed",
                        "role": "assistant",
                        "phase": "commentary",
                        "content": [
                            {"type": "output_text", "text": "Looking into it.", "annotations": [], "logprobs": []}
                        ],
                    }
                ],
                "usage": {"input_tokens": 11, "output_tokens": 43, "total_tokens": 54},
            },
            0,
        )
    )


async def test_commentary_is_not_written_to_stdout(cli: CommandLine) -> None:
    ran = await cli.run("ask", "[[commentary]] hello")
    assert ran.out == snapshot("""\
No model was asked: this is the embedded workspace's rule engine.
You sent 20 characters in 2 words, beginning: “[[commentary]] hello”
""")


async def test_a_refusal_is_told_on_stderr_and_by_the_exit_code(cli: CommandLine) -> None:
    assert await cli.run("ask", "[[refuse]]") == snapshot(
        Ran(
            out="",
            err="""\
[The model refused] I am sorry, but the embedded workspace was told to refuse this.
(embedded-rules as databricks-gpt-5, 9 tokens in, 16 tokens out, conversation CONVERSATION)
""",
            code=6,
        )
    )


async def test_a_broken_answer_keeps_its_beginning_and_says_what_happened(
    cli: CommandLine, emulator: RunningEmulator
) -> None:
    emulator.state.faults.add("cut:7")
    assert (await cli.run("ask", "[[words 50]]")).folded() == snapshot(
        Ran(
            out="word1 word2 word3\n",
            err="""\
upstream_unavailable: The connection to the workspace broke in the middle of its answer
(RemoteProtocolError).
  Ask again; this result contains what had arrived.
""",
            code=8,
        )
    )


@pytest.mark.slow
async def test_failures_of_the_workspace_have_their_exit_codes(cli: CommandLine, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("429:7")
    codes = {
        "rate limited": await cli.run("ask", "hi"),
        "no such model": await cli.run("ask", "hi", "--model", "gpt-99", "--json"),
        "wrong token": await cli.run("ask", "hi", DATABRICKS_TOKEN="wrong-token"),
    }
    assert {name: ran.folded() for name, ran in codes.items()} == snapshot(
        {
            "rate limited": Ran(
                out="",
                err="""\
rate_limited: The endpoint's limit of input tokens per minute is reached (HTTP 429): Rate limit
exceeded: ITPM limit of 200,000 tokens reached.
  Wait, or send a shorter prompt. Retry after 7 s. Request id: REQUEST.
""",
                code=7,
            ),
            "no such model": Ran(
                out="""\
{
  "status": "failed",
  "error": {
    "code": "model_not_found",
    "message": "The workspace has no serving endpoint gpt-99 (HTTP 404): The endpoint 'gpt-99' does
not exist, or you have no permission to see it.",
    "retryable": false,
    "hint": "Did you mean databricks-gpt-5 or databricks-gpt-5-5 or databricks-gpt-5-4? Run
`databricks-responses-mcp models` to see the models of this workspace and how each is reached.",
    "status": 404,
    "request_id": "REQUEST"
  }
}
""",
                err="""\
model_not_found: The workspace has no serving endpoint gpt-99 (HTTP 404): The endpoint 'gpt-99' does
not exist, or you have no permission to see it.
  Did you mean databricks-gpt-5 or databricks-gpt-5-5 or databricks-gpt-5-4? Run
`databricks-responses-mcp models` to see the models of this workspace and how each is reached.
Request id: REQUEST.
""",
                code=5,
            ),
            "wrong token": Ran(
                out="",
                err="""\
unauthenticated: The workspace does not know the token (HTTP 403): Invalid Token.
  The token has expired or belongs to another workspace: make a new one in the workspace that
DATABRICKS_HOST names, and check that no DATABRICKS_CONFIG_PROFILE points elsewhere.
`databricks-responses-mcp doctor` shows which check fails. Request id: REQUEST.
""",
                code=4,
            ),
        }
    )


@pytest.mark.slow
async def test_a_schema_tools_and_mcp_servers_are_options(cli: CommandLine, emulator: RunningEmulator) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    (cli.directory / "schema.json").write_text("\ufeff" + json.dumps(schema), encoding="utf-8")
    (cli.directory / "tools.json").write_text(json.dumps([WEATHER]), encoding="utf-8")
    ran = await cli.run(
        "ask", "[[no tools]] one name", "--schema", "schema.json", "--tool", "web_search", "--tool", "tools.json"
    )
    assert (isinstance(json.loads(ran.out)["name"], str), ran.code) == (True, 0)
    servers = json.dumps({"tickets": {"url": "https://mcp.example.com/mcp"}})
    with_server = await cli.run(
        "ask",
        "[[no tools]] hi",
        "--mcp-server",
        "tickets",
        "--tool",
        json.dumps(WEATHER),
        RESPONSES_MCP_MCP_SERVERS=servers,
    )
    assert with_server.code == 0, with_server.err
    first, second = (exchange.body for exchange in emulator.state.request_log.to("/responses"))
    assert [tool["type"] for tool in first["tools"]] == ["web_search", "function"]
    assert first["text"]["format"]["schema"] == schema
    assert [tool.get("server_label", tool.get("name")) for tool in second["tools"]] == ["get_weather", "tickets"]


async def test_a_call_that_waits_is_shown_with_what_a_terminal_can_do_about_it(cli: CommandLine) -> None:
    ran = await cli.run("ask", "What is the weather?", "--tool", json.dumps(WEATHER))
    assert Ran(ran.out, re.sub(r"call_[0-9a-f]{24}", "CALL", ran.err), ran.code).folded() == snapshot(
        Ran(
            out="",
            err="""\
[The model waits for the output of this call]
- {"type": "function_call", "call_id": "CALL", "name": "get_weather", "arguments": "{}"}
Commands do not answer calls: an MCP host does, with continue_databricks_model and conversation_id
CONVERSATION.
(embedded-rules as databricks-gpt-5, 10 tokens in, 2 tokens out, conversation CONVERSATION)
""",
            code=0,
        )
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--schema", "no-such-file.json"),
        ("--schema", "[1]"),
        ("--schema", "{broken"),
        ("--schema", "\0"),
        ("--schema", "/"),
        ("--tool", "web_serch"),
        ("--tool", "[]"),
        ("--tool", "[1]"),
        ("--timeout-seconds", "soon"),
        ("--extra", "[1]"),
        ("--extra", '{"a": NaN}'),
        ("--temperature", "nan"),
        ("--max-output-tokens", "0"),
        ("--engine", "rules"),
        ("--unknown",),
    ],
)
def test_wrong_arguments_end_before_anything_is_asked(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ask", "hi", *arguments]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert arguments[0].removeprefix("--").replace("-", "_") in streams.err.replace("-", "_")


@pytest.mark.parametrize(
    ("argument", "piped", "prompt"),
    [
        ("Sum up", b"this\n", "Sum up\n\nthis"),
        ("Sum up", b"", "Sum up"),
        ("-", b"this", "this"),
        (None, "na\u00efve".encode("utf-16"), "na\u00efve"),
        (None, b" \n", "invalid_argument"),
        ("Sum up", b"\x89PNG\xff", "invalid_argument"),
        ("Sum up", pdf("All bytes of it are text."), "invalid_argument"),
    ],
)
def test_a_prompt_comes_from_the_argument_and_from_stdin(
    argument: str | None, piped: bytes, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    try:
        read = read_prompt(argument)
    except BridgeError as error:
        read = error.code.value
    assert read == prompt


@pytest.mark.slow
async def test_a_deadline_ends_the_call_with_what_had_arrived(cli: CommandLine, emulator: RunningEmulator) -> None:
    with emulator.state.hold(after_events=7):
        ran = await cli.run("ask", "[[words 50]]", "--timeout-seconds", "1")
    assert ran.folded() == snapshot(
        Ran(
            out="word1 word2 word3\n",
            err="""\
timeout: databricks-gpt-5 gave no whole answer within 1 s.
  This result contains what had arrived. Ask for less at once, or raise
RESPONSES_MCP_TIMEOUT_SECONDS (and the host's own limit for tool calls).
""",
            code=9,
        )
    )


@posix
async def test_a_reader_that_leaves_ends_the_call_without_a_word(cli: CommandLine, emulator: RunningEmulator) -> None:
    reading, writing = os.pipe()
    with emulator.state.hold(after_events=12) as hold:
        async with cli.started("ask", "[[words 50]]", stdout=writing) as process:
            os.close(writing)
            await hold.reached.wait()
            first = await anyio.to_thread.run_sync(os.read, reading, 5)
            os.close(reading)
            hold.release()
            assert process.stderr is not None
            said = b"".join([chunk async for chunk in process.stderr])
            code = await process.wait()
    assert (first, said, code) == (b"word1", b"", 141)


async def interrupted(
    cli: CommandLine,
    emulator: RunningEmulator,
    *arguments: str,
    after_events: int = 7,
    until: bytes = b"word3",
    **environ: str,
) -> Ran:
    """``ask`` with Ctrl-C pressed once ``until`` is on stdout, in the middle of the answer."""
    with emulator.state.hold(after_events=after_events) as hold:
        async with cli.started("ask", *arguments, **environ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            out = b""
            await hold.reached.wait()
            while until not in out:
                out += await process.stdout.receive()
            interrupt(process)
            err = b"".join([chunk async for chunk in process.stderr])
            out += b"".join([chunk async for chunk in process.stdout])
            code = await process.wait()
            await emulator.state.request_log.to("/responses")[-1].disconnected.wait()
    return Ran(without_ids(out.decode()), without_ids(err.decode()), code)


@pytest.mark.slow
@posix
async def test_ctrl_c_keeps_what_came_and_the_conversation_goes_on_from_there(
    cli: CommandLine, emulator: RunningEmulator
) -> None:
    ran = await interrupted(cli, emulator, "[[words 50]]")
    assert ran.folded() == snapshot(
        Ran(
            out="word1 word2 word3\n",
            err="""\
[Interrupted] --continue continues from here. What it cost is not known, because the workspace
reports that at the end of an answer; about 4 tokens of the answer arrived.
(embedded-rules as databricks-gpt-5, conversation CONVERSATION)
""",
            code=130,
        )
    )
    again = await cli.run("ask", "--continue", "[[say And on.]]")
    assert (again.out, again.code) == ("And on.\n", 0)
    sent = emulator.state.request_log.to("/responses")[-1].body["input"]
    assert [(item["role"], item["content"][0]["text"]) for item in sent] == [
        ("user", "[[words 50]]"),
        ("assistant", "word1 word2 word3"),
        ("user", "[[say And on.]]"),
    ]


@pytest.mark.slow
@posix
async def test_ctrl_c_where_nothing_is_kept_says_so(cli: CommandLine, emulator: RunningEmulator) -> None:
    ran = await interrupted(cli, emulator, "[[words 50]]", RESPONSES_MCP_STORE="off")
    assert (ran.out, ran.code) == ("word1 word2 word3\n", 130)
    assert "[Interrupted] The turn is not stored" in ran.err


@pytest.mark.slow
@posix
async def test_ctrl_c_before_the_first_word_ends_the_command_and_keeps_nothing(
    cli: CommandLine, emulator: RunningEmulator
) -> None:
    ran = await interrupted(cli, emulator, "[[words 50]]", after_events=2, until=b"")
    assert ran == snapshot(
        Ran(out="", err="Interrupted before any text arrived; the question is not stored.\n", code=130)
    )
    assert (await cli.run("ask", "--continue", "hi")).code == 5


@pytest.mark.slow
@posix
async def test_a_reader_that_reads_nothing_does_not_hold_up_the_end(
    cli: CommandLine, emulator: RunningEmulator
) -> None:
    reading, writing = os.pipe()
    # More than a pipe holds.
    text = "x" * 200_000
    (cli.directory / "long.txt").write_text(f"[[say {text}]]", encoding="utf-8")
    with emulator.state.hold(after_events=6) as hold:
        async with cli.started("ask", "go", "--file", "long.txt", stdout=writing) as process:
            os.close(writing)
            await hold.reached.wait()
            await anyio.to_thread.run_sync(os.read, reading, 1)
            interrupt(process)
            assert await process.wait() == 130
    os.close(reading)


async def test_a_full_disk_behind_stdout_is_told(cli: CommandLine) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        async with cli.started("ask", "[[say hi]]", stdout=full) as process:
            assert process.stderr is not None
            said = b"".join([chunk async for chunk in process.stderr])
            code = await process.wait()
    finally:
        os.close(full)
    assert (code, said.decode()) == snapshot(
        (
            1,
            """\
internal: stdout cannot be written: No space left on device.
  Check where it is redirected to.
""",
        )
    )


@pytest.mark.slow
async def test_embedded_needs_nothing_and_says_what_answers(bare: CommandLine) -> None:
    ran = await bare.run("ask", "--embedded", "--engine", "rules", "[[say hello]]", DATABRICKS_HOST="https://not.used")
    assert ran == snapshot(
        Ran(
            out="hello\n",
            err="""\
databricks-responses-mcp: Answers come from fixed rules, not from a model, as asked for.
(embedded-rules as databricks-gpt-6-1-sol, 10 tokens in, 1 token out, conversation CONVERSATION)
""",
            code=0,
        )
    )
