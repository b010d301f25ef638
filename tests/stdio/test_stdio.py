"""The server as hosts start it: a process that communicates over pipes."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from databricks_responses_mcp.tools.registry import all_tools
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK, COMMAND, environment, server, stderr_of

pytestmark = pytest.mark.anyio


async def test_hosts_of_both_eras_list_ask_and_generate_images(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    parameters = StdioServerParameters(
        command=COMMAND[0], args=COMMAND[1:], env=environment(emulator, tmp_path), cwd=tmp_path
    )
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(parameters, mode=era) as client:
            host = Host(client)
            tools = await client.list_tools()
            content, facts, failed = await host.call(ASK, prompt="[[say Hello over pipes]]")
            _, drawn, _ = await host.call("generate_image", prompt="A cat", size="256x256")
            resource = (await client.read_resource(drawn["images"][0]["uri"])).contents[0]
    assert [tool.name for tool in tools.tools] == [tool.name for tool in all_tools()]
    assert (failed, content[0].text, facts["text"]) == (False, "Hello over pipes", "Hello over pipes")
    assert resource.mime_type == "image/png"
    assert host.progress[0][1] == "databricks-gpt-5: the model is answering"


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_handshake_version_is_supported_and_the_server_describes_itself(
    emulator: RunningEmulator, tmp_path: Path, version: str
) -> None:
    async with server(environment(emulator, tmp_path)) as raw:
        answer = await raw.ask(
            1, "initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "t", "version": "1"}
        )
    result = answer["result"]
    assert result["protocolVersion"] == version
    assert "ask_databricks_model" in result["instructions"]
    info = result["serverInfo"]
    assert (info["name"], info["title"]) == ("databricks-responses-mcp", "Databricks models")
    if version == "2025-11-25":
        assert info["websiteUrl"].startswith("https://")
        assert info["icons"][0]["src"].startswith("data:image/svg+xml;base64,")


async def test_cancelling_a_call_closes_the_upstream_connection_and_the_server_keeps_running(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with server(environment(emulator, tmp_path)) as raw:
        await raw.initialize()
        with emulator.state.hold(after_events=3) as hold:
            call = {"name": ASK, "arguments": {"prompt": "Hi"}}
            await raw.send({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
            await hold.reached.wait()
            await raw.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
        answer = await raw.ask(8, "tools/call", name=ASK, arguments={"prompt": "[[say still here]]"})
    assert answer["result"]["structuredContent"]["text"] == "still here"


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in a call"])
async def test_the_end_of_stdin_ends_the_process_and_its_running_call(
    emulator: RunningEmulator, tmp_path: Path, busy: bool
) -> None:
    async with server(environment(emulator, tmp_path)) as raw:
        await raw.initialize()
        with emulator.state.hold(after_events=3) as hold:
            if busy:
                call = {"name": ASK, "arguments": {"prompt": "Hi"}}
                await raw.send({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
                await hold.reached.wait()
            assert raw.process.stdin is not None
            await raw.process.stdin.aclose()
            assert await raw.process.wait() == 0
            if busy:
                await (await emulator.state.request_log.wait_for(1)).disconnected.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without asking")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_during_a_call(
    emulator: RunningEmulator, tmp_path: Path, number: signal.Signals
) -> None:
    async with server(environment(emulator, tmp_path)) as raw:
        await raw.initialize()
        with emulator.state.hold(after_events=3) as hold:
            call = {"name": ASK, "arguments": {"prompt": "Hi"}}
            await raw.send({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
            await hold.reached.wait()
            raw.process.send_signal(number)
            assert await raw.process.wait() == 128 + number
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
        assert "Traceback" not in await stderr_of(raw)


async def test_other_output_and_child_processes_do_not_write_to_the_protocol_stream(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, subprocess, threading, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "def noise():\n"
        "    while not (here / 'begin').exists():\n"
        "        time.sleep(0.02)\n"
        "    for _ in range(20):\n"
        "        print('stray print', flush=True)\n"
        "        subprocess.run(['echo', 'stray child'], check=False)\n"
        "    (here / 'done').touch()\n"
        "threading.Thread(target=noise, daemon=True).start()\n",
        encoding="utf-8",
    )
    env = environment(emulator, tmp_path, PYTHONPATH=str(tmp_path))
    async with server(env) as raw:
        await raw.initialize()
        (tmp_path / "begin").touch()
        number = 0
        while number < 5 or not (tmp_path / "done").exists():
            number += 1
            answer = await raw.ask(number, "tools/call", name=ASK, arguments={"prompt": f"[[say {number}]]"})
            assert answer["result"]["structuredContent"]["text"] == str(number)
        assert raw.process.stdin is not None
        await raw.process.stdin.aclose()
        noise = await stderr_of(raw)
    assert (noise.count("stray print"), noise.count("stray child")) == (20, 20)


BROKEN = [
    "not json",
    "{}",
    "[]",
    '"text"',
    "null",
    '{"jsonrpc": "2.0"}',
    '{"jsonrpc": "1.0", "id": 1, "method": "ping"}',
    '{"jsonrpc": "2.0", "id": {}, "method": "ping"}',
    '{"jsonrpc": "2.0", "id": 5, "method": 7}',
    '{"jsonrpc": "2.0", "method": "notifications/unheard_of"}',
    '{"jsonrpc": "2.0", "id": 99, "result": {}}',
    '{"a": ' * 2000,
    "\x00\x01",
]


async def test_malformed_messages_do_not_stop_the_server(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with server(environment(emulator, tmp_path)) as raw:
        await raw.initialize()
        for line in BROKEN:
            await raw.send(line)
        assert raw.process.stdin is not None
        await raw.process.stdin.send(b"\xff\xfe\xfd\n")
        unknown = await raw.ask(41, "tools/nothing")
        assert unknown["error"]["code"] == -32601
        answer = await raw.ask(42, "tools/call", name=ASK, arguments={"prompt": "[[say alive]]"})
    assert answer["result"]["structuredContent"]["text"] == "alive"


async def test_two_hundred_concurrent_calls_over_one_pipe(emulator: RunningEmulator, tmp_path: Path) -> None:
    count = 200
    async with server(environment(emulator, tmp_path)) as raw:
        await raw.initialize()
        for number in range(1, count + 1):
            call = {"name": ASK, "arguments": {"prompt": f"[[say number {number}]]"}}
            await raw.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call})
        answers: dict[int, str] = {}
        while len(answers) < count:
            message = await raw.receive()
            answers[message["id"]] = message["result"]["structuredContent"]["text"]
    assert answers == {number: f"number {number}" for number in range(1, count + 1)}


async def test_the_server_does_not_start_with_an_invalid_setting_and_names_it(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    env = environment(emulator, tmp_path, RESPONSES_MCP_TIMEOUT_SECONDS="soon", RESPONSES_MCP_MODLE="x")
    async with server(env) as raw:
        assert await raw.process.wait() == 2
        message = await stderr_of(raw)
    assert "RESPONSES_MCP_TIMEOUT_SECONDS" in message
    assert "RESPONSES_MCP_MODLE is not a setting, RESPONSES_MCP_MODEL is" in message
    assert emulator.token not in message


async def test_without_any_configuration_tools_are_listed_and_calls_say_what_to_do(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    async with server(env) as raw:
        await raw.initialize()
        tools = await raw.ask(1, "tools/list")
        answer = await raw.ask(2, "tools/call", name=ASK, arguments={"prompt": "Hi"})
    assert len(tools["result"]["tools"]) == len(all_tools())
    assert answer["result"]["structuredContent"]["error"]["code"] == "not_configured"


async def test_nothing_heavy_is_imported_before_the_tools_are_listed(emulator: RunningEmulator, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "HEAVY = {'httpx', 'PIL', 'databricks.sdk', 'openai', 'platformdirs', 'requests'}\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in HEAVY:\n"
        "            print('IMPORTED', name, file=sys.stderr, flush=True)\n"
        "sys.meta_path.insert(0, Watch())\n",
        encoding="utf-8",
    )
    code = (
        "import anyio\n"
        "from databricks_responses_mcp.cli.serving import serve\n"
        "from databricks_responses_mcp.server import build_server\n"
        "from databricks_responses_mcp.turns.bridge import open_bridge\n"
        "from databricks_responses_mcp.workspace.settings import load_settings\n"
        "server = build_server(lambda: open_bridge(load_settings({})))\n"
        "print(len(anyio.run(server.list_tools)))\n"
    )
    env = environment(emulator, tmp_path, PYTHONPATH=str(tmp_path))
    result = await anyio.run_process([sys.executable, "-c", code], env=env)
    assert (int(result.stdout), result.stderr.decode()) == (len(all_tools()), "")


async def test_the_embedded_workspace_answers_without_any_account(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    async with server(env, "--embedded", "--engine", "rules") as raw:
        await raw.initialize()
        answer = await raw.ask(1, "tools/call", name=ASK, arguments={"prompt": "[[say embedded]]"})
        assert raw.process.stdin is not None
        await raw.process.stdin.aclose()
        assert await raw.process.wait() == 0
        note = await stderr_of(raw)
    assert answer["result"]["structuredContent"]["text"] == "embedded"
    assert "rules" in note
