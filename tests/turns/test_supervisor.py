"""The Supervisor API: hosted tools, and responses that run in the background until they are done or cancelled."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from mcp import Client, StdioServerParameters

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns import background
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.background import run_in_background
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_responses_mcp.workspace.http import WorkspaceClient
from databricks_responses_mcp.workspace.settings import load_settings
from databricks_responses_mcp.workspace.surfaces.table import SURFACES
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import answer, raw_server
from harness.stdio_process import ASK, COMMAND, environment

pytestmark = pytest.mark.anyio

CLAUDE = "system.ai.claude-sonnet-4-5"
PATH = "/ai-gateway/mlflow/v1/responses"
HOSTED = [
    {"type": "genie_space", "genie_space": {"id": "01ef", "description": "Sales"}},
    {"type": "uc_function", "uc_function": {"name": "main.default.f"}},
    {"type": "knowledge_assistant", "knowledge_assistant": {"knowledge_assistant_id": "ka-1"}},
    {"type": "uc_connection", "uc_connection": {"name": "jira"}},
    {"type": "app", "app": {"name": "my-agent"}},
]


class HeldServer:
    """Answers the request that starts a response once it may; knows which requests came.

    Attributes:
        asked: set when the request that starts a response is there.
        may_answer: set it to have that answered.
        lines: the first lines of the requests.
    """

    def __init__(self, answers: list[bytes]) -> None:
        self.asked, self.may_answer = anyio.Event(), anyio.Event()
        self.lines: list[str] = []
        self._answers = answers

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        received = b""
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    received += await stream.receive()
                    head, separator, rest = received.partition(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                    if not separator or len(rest) < length:
                        continue
                    received = rest[length:]
                    self.lines.append(head.partition(b"\r\n")[0].decode())
                    if len(self.lines) == 1:
                        self.asked.set()
                        await self.may_answer.wait()
                    await stream.send(self._answers.pop(0))


@asynccontextmanager
async def held_server(*answers: bytes) -> AsyncIterator[tuple[HeldServer, WorkspaceClient]]:
    server = HeldServer(list(answers))
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    host = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    settings = load_settings({"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": "t", "RESPONSES_MCP_STORE": "off"}, {})
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        async with open_bridge(settings, {}) as bridge:
            yield server, bridge.client
        tasks.cancel_scope.cancel()


QUEUED = answer(b'{"object": "response", "status": "queued", "id": "resp_1"}', "application/json")
DONE = answer(b'{"object": "response", "status": "completed", "id": "resp_1", "output": []}', "application/json")
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (QUEUED, [f"POST {PATH} HTTP/1.1", f"POST {PATH}/resp_1/cancel HTTP/1.1"]),
        (DONE, [f"POST {PATH} HTTP/1.1"]),
        (BUSY, [f"POST {PATH} HTTP/1.1"]),
    ],
    ids=["queued", "completed", "refused"],
)
async def test_a_call_cancelled_before_the_id_of_its_response_is_known_cancels_it_once_it_is(
    given: bytes, sent: list[str]
) -> None:
    request = {"model": "m", "background": True}
    async with held_server(given, DONE, DONE) as (server, client), anyio.create_task_group() as tasks:

        async def run() -> None:
            await run_in_background(client, request, surface=SURFACES["supervisor"], model="m")

        tasks.start_soon(run)
        with anyio.fail_after(DEADLINE_SECONDS):
            await server.asked.wait()
        tasks.cancel_scope.cancel()
        server.may_answer.set()
    assert server.lines == sent


UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 2\r\n\r\n{}"
GONE = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}"


async def test_an_outage_while_a_response_runs_does_not_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_FIRST_WAIT_SECONDS", 0.0)
    request = {"model": "m", "background": True}
    async with held_server(QUEUED, *[UNAVAILABLE] * 50, DONE) as (server, client):
        server.may_answer.set()
        with anyio.fail_after(DEADLINE_SECONDS):
            response = await run_in_background(client, request, surface=SURFACES["supervisor"], model="m")
    assert response["status"] == "completed"
    assert len(server.lines) == 52


@pytest.mark.parametrize(("given", "outage"), [(UNAVAILABLE, 0.0), (GONE, 600.0)], ids=["too long", "gone"])
async def test_a_response_that_cannot_be_read_is_an_error_with_its_id(
    given: bytes, outage: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(background, "_MAX_OUTAGE_SECONDS", outage)
    request = {"model": "m", "background": True}
    async with held_server(QUEUED, *[given] * 50) as (server, client):
        server.may_answer.set()
        with anyio.fail_after(DEADLINE_SECONDS), pytest.raises(BridgeError) as caught:
            await run_in_background(client, request, surface=SURFACES["supervisor"], model="m")
    assert caught.value.partial["response_id"] == "resp_1"
    # Three attempts at a poll, if that may be repeated.
    assert len(server.lines) < 12


@pytest.mark.slow
async def test_a_cancelled_call_does_not_wait_long_for_an_id_that_does_not_come() -> None:
    request = {"model": "m", "background": True}
    async with held_server(QUEUED) as (server, client):
        with anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as tasks:

                async def run() -> None:
                    await run_in_background(client, request, surface=SURFACES["supervisor"], model="m")

                tasks.start_soon(run)
                await server.asked.wait()
                tasks.cancel_scope.cancel()
    assert server.lines == [f"POST {PATH} HTTP/1.1"]


@pytest.fixture(autouse=True)
def _supervisor(emulator: RunningEmulator) -> None:
    emulator.state.switches.supervisor = True


async def test_hosted_tools_go_through_and_a_conversation_goes_on(bridge: Bridge, emulator: RunningEmulator) -> None:
    question = AskRequest(prompt="[[say one]]", model=CLAUDE, surface="supervisor", tools=HOSTED)
    first = await ask(bridge, question)
    second = await ask(bridge, AskRequest(prompt="[[say two]]", conversation_id=first.conversation_id))
    assert [(one.text, one.surface, one.notes) for one in (first, second)] == [
        ("one", "supervisor", ()),
        ("two", "supervisor", ()),
    ]
    bodies = [exchange.body for exchange in emulator.state.request_log.to(PATH)]
    assert [body["tools"] for body in bodies] == [HOSTED, HOSTED]
    # The Supervisor repeats the conversation in its output; it is sent once all the same.
    assert [item["role"] for item in bodies[1]["input"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("polls", [0, 3])
async def test_a_response_in_the_background_is_asked_for_until_it_is_done(
    bridge: Bridge, emulator: RunningEmulator, polls: int
) -> None:
    emulator.state.background_polls = polls
    question = AskRequest(prompt="[[say done]]", model=CLAUDE, surface="supervisor", extra={"background": True})
    outcome = await ask(bridge, question)
    assert (outcome.text, outcome.status) == ("done", "completed")
    assert (outcome.usage or {})["output_tokens"] > 0
    (sent,) = emulator.state.request_log.to(PATH)
    assert (sent.body["background"], "stream" in sent.body) == (True, False)
    asked = [one for one in emulator.state.request_log.exchanges if one.path.startswith(f"{PATH}/")]
    assert len(asked) == polls + 1


async def test_elsewhere_background_is_refused_by_the_rules_of_that_surface(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5", extra={"background": True}))
    assert caught.value.code is ErrorCode.UNSUPPORTED_BY_MODEL
    assert emulator.state.request_log.to("/responses") == []


async def test_sampling_beside_tools_is_refused_before_it_is_sent(bridge: Bridge, emulator: RunningEmulator) -> None:
    question = AskRequest(prompt="Hi", model=CLAUDE, surface="supervisor", tools=HOSTED, temperature=0.5)
    with pytest.raises(BridgeError, match="does not accept temperature together with tools"):
        await ask(bridge, question)
    assert emulator.state.request_log.to(PATH) == []


async def test_an_id_that_would_change_the_path_is_not_requested(bridge: Bridge, emulator: RunningEmulator) -> None:
    request = {"model": "m", "background": True}
    for odd in ('"../../../api/2.0/secrets"', '"a?b"', '""', "7", "null"):
        body = f'{{"object": "response", "status": "queued", "id": {odd}}}'.encode()
        async with raw_server(answer(body, "application/json")) as (server, other):
            with pytest.raises(BridgeError, match="gave no id") as caught:
                await run_in_background(other.client, request, surface=SURFACES["supervisor"], model="m")
            assert (server.gets, caught.value.may_be_paid) == (0, True)


QUEUED_BODY = b'{"object": "response", "status": "queued", "id": "resp_1"}'
CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"


async def test_the_cancellation_of_a_response_reaches_the_workspace_also_on_a_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "_FIRST_WAIT_SECONDS", 0.0)
    async with raw_server(CLOSED % (len(QUEUED_BODY), QUEUED_BODY)) as (server, bridge):
        server.listing = server.answer
        with anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as tasks:

                async def run() -> None:
                    await run_in_background(
                        bridge.client, {"model": "m", "background": True}, surface=SURFACES["supervisor"], model="m"
                    )

                tasks.start_soon(run)
                while not server.gets:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
    assert [json.loads(sent) for sent in server.requests if sent] == [{"model": "m", "background": True}, {}]


async def test_a_call_that_is_cancelled_cancels_the_response_and_a_slow_one_becomes_a_job(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    emulator.state.background_polls = 10_000
    env = environment(emulator, tmp_path, RESPONSES_MCP_HAND_OVER_SECONDS="0.2")
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env, cwd=tmp_path)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(parameters, mode=era) as client:
            host = Host(client)
            _, facts, failed = await host.call(
                ASK, prompt="Hi", model=CLAUDE, surface="supervisor", extra={"background": True}
            )
            assert (facts["status"], failed) == ("running", False)
            await emulator.state.began_background.wait()
            await host.call("get_response", response_id=facts["response_id"], cancel=True)
            (kept,) = emulator.state.background.values()
            await kept.cancelled.wait()
    assert kept.is_cancelled


@pytest.mark.parametrize("approve", [True, False])
async def test_the_emulator_asks_for_an_approval_and_goes_on_with_it(
    bridge: Bridge, emulator: RunningEmulator, approve: bool
) -> None:
    asking = AskRequest(prompt="[[approval]] Find it", model=CLAUDE, surface="supervisor", tools=HOSTED[3:4])
    first = await ask(bridge, asking)
    (pending,) = first.pending_calls
    conversation = str(first.conversation_id)
    approval = {"approval_request_id": pending["approval_request_id"], "approve": approve}
    second = await answer_calls(bridge, conversation, [approval])
    third = await ask(bridge, AskRequest(prompt="[[say bye]]", conversation_id=conversation))
    assert (first.text, pending["name"], pending["server_label"]) == ("", "search", "jira")
    said = "search of jira gave a made-up output" if approve else "The user did not approve search of jira"
    assert said in second.text
    assert [(one.status, one.pending_calls, one.notes) for one in (second, third)] == [("completed", [], ())] * 2
    kinds = [[item["type"] for item in exchange.body["input"]] for exchange in emulator.state.request_log.to(PATH)]
    output = ["function_call_output"] * approve
    assert kinds == [
        ["message"],
        ["message", "mcp_approval_request", "mcp_approval_response"],
        ["message", "mcp_approval_request", "mcp_approval_response", *output, "message", "message"],
    ]


async def test_a_call_of_an_mcp_server_is_approved_in_the_next_request() -> None:
    """As a skill of Databricks describes it: the server asks with a whole response, and calls after the answer."""
    asked = {"type": "mcp_approval_request", "id": "call_1", "server_label": "jira", "name": "find", "arguments": "{}"}
    called = [
        {"type": "function_call_output", "call_id": "call_1", "output": "3 issues"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Three."}]},
    ]

    def completed(*output: dict[str, Any]) -> bytes:
        body = {"object": "response", "id": "resp_1", "status": "completed", "model": "m", "output": list(output)}
        return answer(json.dumps(body).encode(), "application/json")

    async with raw_server(completed(), surface="supervisor") as (server, bridge):
        server.first = [completed(asked), completed(*called)]
        first = await ask(bridge, AskRequest(prompt="Hi", model=CLAUDE, tools=[HOSTED[3]]))
        (pending,) = first.pending_calls
        approval = {"approval_request_id": "call_1", "approve": True}
        second = await answer_calls(bridge, str(first.conversation_id), [approval])
        third = await ask(bridge, AskRequest(prompt="Thanks", conversation_id=first.conversation_id))
    assert (pending["type"], pending["name"]) == ("mcp_approval_request", "find")
    assert (second.text, second.pending_calls) == ("Three.", [])
    sent = [[item["type"] for item in json.loads(request)["input"]] for request in server.requests if request]
    assert sent == [
        ["message"],
        ["message", "mcp_approval_request", "mcp_approval_response"],
        [
            *("message", "mcp_approval_request", "mcp_approval_response"),
            *("function_call_output", "message", "message"),
        ],
    ]
    assert third.status == "completed"
    decided = json.loads([request for request in server.requests if request][1])["input"]
    assert {**decided[1], "type": ""}["id"] == decided[2]["approval_request_id"] == "call_1"
