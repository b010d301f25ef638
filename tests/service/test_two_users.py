"""Two users of one service: an id of one is answered to the other like an id that never existed, by every tool."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceTemplateReference, TextResourceContents

from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.tasks_client import TaskHost, Tasks
from harness.team import Team, add_user, team
from harness.team_service import bearer, keys_in, team_server

pytestmark = pytest.mark.anyio

LONG = "lorem ipsum " * 4000
NEVER = {
    "conversation": "conv_0123456789abcdef",
    "job": "job_0123456789abcdef",
    "task": "job_fedcba9876543210",
    "picture": "image://a-red-fox-0123456789.png",
    "long answer": f"answer://{'0' * 32}",
}
Ask = Callable[[Host, str], Awaitable[Any]]


def tool(name: str, argument: str, **more: Any) -> Ask:
    async def ask(host: Host, some_id: str) -> Any:
        blocks, facts, failed = await host.call(name, **{argument: some_id}, **more)
        return [getattr(block, "text", "") for block in blocks], facts, failed

    return ask


def resource(template: str) -> Ask:
    async def ask(host: Host, some_id: str) -> Any:
        return (await host.client.read_resource(template.replace("ID", some_id))).model_dump(mode="json")

    return ask


def task(method: str, **more: Any) -> Ask:
    async def ask(host: Host, some_id: str) -> Any:
        return await getattr(TaskHost(host.client), method)(some_id, **more)

    return ask


def completion(uri: str, name: str) -> Ask:
    async def ask(host: Host, some_id: str) -> Any:
        typed = some_id.rpartition("/")[2][:12]
        found = await host.client.complete(ResourceTemplateReference(uri=uri), {"name": name, "value": typed})
        return found.completion.values

    return ask


READS: list[tuple[str, str, Ask]] = [
    ("conversation", "asked further", tool("ask_databricks_model", "conversation_id", prompt="And?")),
    ("conversation", "drawn further", tool("generate_image", "conversation_id", prompt="And?")),
    ("conversation", "searched further", tool("search_web", "conversation_id", question="And?")),
    (
        "conversation",
        "continued",
        tool("continue_databricks_model", "conversation_id", outputs=[{"call_id": "c", "output": "x"}]),
    ),
    ("conversation", "shown", tool("manage_conversations", "conversation_id", action="show")),
    ("conversation", "exported", tool("manage_conversations", "conversation_id", action="export", format="json")),
    ("conversation", "compacted", tool("manage_conversations", "conversation_id", action="compact")),
    ("conversation", "deleted", tool("manage_conversations", "conversation_id", action="delete", confirm=True)),
    ("conversation", "a resource", resource("conversation://ID")),
    ("conversation", "completed", completion("conversation://{id}", "id")),
    ("job", "read", tool("get_response", "response_id", wait_seconds=0)),
    ("job", "cancelled", tool("get_response", "response_id", cancel=True)),
    ("task", "read", task("get")),
    ("task", "answered", task("update", question={"action": "accept"})),
    ("task", "cancelled", task("cancel")),
    ("picture", "a resource", resource("ID")),
    ("picture", "to edit", tool("generate_image", "mask", prompt="x", images=["data:,x"])),
    ("picture", "completed", completion("image://{name}", "name")),
    ("long answer", "a resource", resource("ID")),
    ("long answer", "a part", resource("ID/10")),
]


async def outcome(ask: Ask, host: Host, some_id: str) -> str:
    """Return all that is said of an id, with a word in its place."""
    try:
        said = repr(await ask(host, some_id))
    except MCPError as error:
        said = f"{error.code} {error} {error.data}"
    return said.replace(some_id, "ID").replace(some_id.rpartition("/")[2], "ID")


@asynccontextmanager
async def what_ann_has(emulator: RunningEmulator, service: Team, token: str) -> AsyncIterator[dict[str, str]]:
    """Yield one id of everything that a user can have, all of it in use at this moment."""
    async with service.user("ann", workspace_token=token) as host:
        _, asked, failed = await host.call("ask_databricks_model", prompt=LONG)
        assert not failed, asked
        ids = {"conversation": asked["conversation_id"]}
        _, shown, _ = await host.call("manage_conversations", action="show", conversation_id=ids["conversation"])
        ids["long answer"] = shown["text_uri"]
        _, drawn, _ = await host.call("generate_image", prompt="A red fox")
        ids["picture"] = drawn["images"][0]["uri"]
    async with service.user("ann", workspace_token=token, extensions=[Tasks()]) as host:
        with emulator.state.hold(1), anyio.fail_after(DEADLINE_SECONDS):
            ids["task"] = await TaskHost(host.client).start("ask_databricks_model", prompt="hello")
            ids["job"] = ids["task"]
            yield ids


async def test_another_users_id_is_answered_as_one_that_never_was(emulator: RunningEmulator, tmp_path: Path) -> None:
    ann, ben = add_user(emulator, "ann"), add_user(emulator, "ben")
    pictures = {"RESPONSES_MCP_SERVICE_PICTURES": "/Volumes/main/default/pictures"}
    settings = {"max_text_tokens": 1000}
    async with (
        team(emulator, tmp_path, service=pictures, **settings) as service,
        what_ann_has(emulator, service, ann) as ids,
    ):
        asked = len(emulator.state.request_log.to("/responses"))
        async with service.user("ben", workspace_token=ben, extensions=[Tasks()]) as host:
            theirs = {(kind, how): await outcome(ask, host, ids[kind]) for kind, how, ask in READS}
            never = {(kind, how): await outcome(ask, host, NEVER[kind]) for kind, how, ask in READS}
            _, listed, _ = await host.call("manage_conversations", action="list")
        assert len(emulator.state.request_log.to("/responses")) == asked
        # The same questions of the owner have other answers, so that the comparison can fail.
        async with service.user("ann", workspace_token=ann, extensions=[Tasks()]) as host:
            kinds = {"shown", "a resource", "read", "a part", "completed"}
            own = {(k, how): await outcome(ask, host, ids[k]) for k, how, ask in READS if how in kinds}
    assert theirs == never
    unclear = {place: said for place, said in theirs.items() if not re.search("not_found|-32602|^\\[\\]$", said)}
    assert unclear == {}
    assert listed["total"] == 0
    assert {place for place, said in own.items() if said == never[place]} == set()
    # What the other user asked for has ended nothing.
    assert "'status': 'working'" in own["task", "read"]


async def test_a_key_of_another_user_is_another_key(emulator: RunningEmulator, tmp_path: Path) -> None:
    ann, ben = add_user(emulator, "ann"), add_user(emulator, "ben")
    async with team(emulator, tmp_path) as service:
        conversations = []
        for name, token in (("ann", ann), ("ann", ann), ("ben", ben)):
            async with service.user(name, workspace_token=token) as host:
                _, facts, failed = await host.call("ask_databricks_model", prompt="hello", idempotency_key="mine")
                assert not failed, facts
                conversations.append(facts["conversation_id"])
    assert conversations[0] == conversations[1] != conversations[2]
    assert [exchange.user for exchange in emulator.state.request_log.to("/responses")] == ["ann", "ben"]


async def test_a_long_answer_is_read_on_every_replica(emulator: RunningEmulator, tmp_path: Path) -> None:
    ann = add_user(emulator, "ann")
    async with (
        team(emulator, tmp_path, max_text_tokens=1000) as one,
        team(emulator, tmp_path, max_text_tokens=1000) as other,
        one.user("ann", workspace_token=ann) as host,
        other.user("ann", workspace_token=ann) as elsewhere,
    ):
        _, asked, _ = await host.call("ask_databricks_model", prompt=LONG)
        shown = [
            (await place.call("manage_conversations", action="show", conversation_id=asked["conversation_id"]))[1]
            for place in (host, elsewhere)
        ]
        assert shown[0]["text_uri"] == shown[1]["text_uri"]
        (content,) = (await elsewhere.client.read_resource(shown[0]["text_uri"])).contents
    assert isinstance(content, TextResourceContents)
    assert LONG.strip() in content.text


async def test_what_the_workspace_stores_for_the_service_is_continued_by_nobodys_id(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    env = {"RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys")}
    async with team_server(emulator, tmp_path, **env) as serving:

        async def asked_by(name: str, **extra: Any) -> dict[str, Any]:
            arguments = {"prompt": "Say it again.", "model": "my-openai-external", "extra": extra}
            params = {"name": "ask_databricks_model", "arguments": arguments}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = await serving.send("POST", "/mcp", body, {"accept": "application/json", **bearer(keys[name])})
            structured: dict[str, Any] = answer.json()["result"]["structuredContent"]
            return structured

        stored = await asked_by("ada", store=True)
        sent = len(emulator.state.request_log.to("/responses"))
        refused = [
            await asked_by("bob", **extra)
            for extra in (
                {"previous_response_id": stored["response_id"]},
                {"previous_response_id": "resp_none"},
                {"conversation": "conv_of_ada"},
                {"conversation": {"id": "conv_of_ada"}},
            )
        ]
        assert len(emulator.state.request_log.to("/responses")) == sent
    assert [answer["error"]["code"] for answer in refused] == ["permission_denied"] * 4
    assert refused[0]["error"] == refused[1]["error"]
