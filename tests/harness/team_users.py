"""Users of a service for a team: each asks, continues, generates, waits and reads, and checks every answer."""

import json
import math
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError

from harness.stdio_process import ASK

CALL_SECONDS = 60.0
"""A call that takes longer counts as hung."""

HUNG = "hung"
_ID_END = re.compile(r"[0-9a-f]{4}(?=(\.\w+)?$)")


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that did not end as it should.

    Attributes:
        user: the user's name.
        action: what the user did.
        began: seconds since the start of the run.
        ended: the same.
        problem: what went wrong.
        is_transport: whether it was a broken connection or a status of the 500s, rather than a result.
    """

    user: str
    action: str
    began: float
    ended: float
    problem: str
    is_transport: bool


@dataclass
class Record:
    """What all users together have seen.

    Attributes:
        calls: the number of calls by action.
        failures: the calls that failed.
        wrong: answers that contain what another user has said, or not what the user has said.
        acknowledged: by user and conversation, the marks of turns whose answers have arrived.
        published: conversation, job and picture ids of all users, for others to try.
        durations: how long calls took, in seconds, by action.
    """

    calls: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    acknowledged: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    published: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    durations: dict[str, list[float]] = field(default_factory=dict)

    def publish(self, kind: str, user: str, identifier: str) -> None:
        """Let the other users try an id."""
        self.published.setdefault(kind, []).append((user, identifier))


class RefusedError(Exception):
    """A result that is an error."""


@dataclass
class User:
    """One user.

    Attributes:
        name: part of everything that the user says.
        url: of the service.
        headers: sign the user in.
        era: the protocol era of the user's client.
        record: what is seen.
        random: chooses what the user does.
        draws: whether the user generates images, too.
    """

    name: str
    url: str
    headers: Mapping[str, str]
    era: str
    record: Record
    random: random.Random
    draws: bool = False
    _count: int = 0
    _client: Client | None = None

    @property
    def mark(self) -> str:
        """Text that no other user says."""
        return f"mark-{self.name}-"

    async def work(self, begun: float, until: float, think_seconds: float) -> None:
        """Do one action after another, each after a pause; reconnect after a failure.

        Args:
            begun: when the run began, by the clock of the event loop.
            until: when to stop, by the same clock.
            think_seconds: the mean pause.
        """
        while anyio.current_time() < until:
            connecting = anyio.current_time()
            try:
                async with self._connected() as client:
                    self._client = client
                    connecting = math.nan
                    is_usable = True
                    while is_usable and anyio.current_time() < until:
                        await anyio.sleep(self.random.uniform(0.2, 2) * think_seconds)
                        is_usable = await self._act(begun)
            except Exception as error:  # noqa: BLE001 - whatever a broken connection raises is counted
                if not math.isnan(connecting):
                    self._fail("connect", begun, connecting, repr(error), is_transport=True)
                    await anyio.sleep(0.5)

    async def _act(self, begun: float) -> bool:
        """Do one action; return whether the connection can still be used."""
        action = self.random.choice(
            [self.ask, self.ask, self.go_on, self.go_on, self.wait_for_long, self.repeat, self.pry, self.review]
            + [self.generate] * self.draws
        )
        name, started = action.__name__, anyio.current_time()
        self.record.calls[name] += 1
        try:
            with anyio.fail_after(CALL_SECONDS):
                await action()
        except RefusedError as error:
            self._fail(name, begun, started, str(error), is_transport=False)
        except TimeoutError:
            self._fail(name, begun, started, HUNG, is_transport=True)
            return False
        except Exception as error:  # noqa: BLE001 - whatever a broken connection raises is counted
            self._fail(name, begun, started, repr(error), is_transport=True)
            return False
        self.record.durations.setdefault(name, []).append(anyio.current_time() - started)
        return True

    def _fail(self, action: str, begun: float, started: float, problem: str, *, is_transport: bool) -> None:
        ended = anyio.current_time() - begun
        self.record.failures.append(Failure(self.name, action, started - begun, ended, problem, is_transport))

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; returns the structured content.

        Raises:
            RefusedError: if the result is an error.
        """
        assert self._client is not None
        result = await self._client.call_tool(tool, arguments)
        structured = result.structured_content or {}
        text = " ".join(block.text for block in result.content if block.type == "text")
        self._check_marks(text)
        self._check_marks(json.dumps(structured))
        if result.is_error:
            raise RefusedError(json.dumps(structured.get("error") or text))
        return structured

    async def ask(self) -> None:
        """Begin a conversation."""
        said = self._next_mark()
        self._acknowledge(said, await self._finished(await self.call(ASK, prompt=f"[[say {said}]]")))

    async def go_on(self) -> None:
        """Continue a conversation."""
        known = self.record.acknowledged.get(self.name)
        if not known:
            return await self.ask()
        said = self._next_mark()
        conversation = self.random.choice(sorted(known))
        answer = await self.call(ASK, prompt=f"[[say {said}]]", conversation_id=conversation)
        self._acknowledge(said, await self._finished(answer))
        return None

    async def wait_for_long(self) -> None:
        """Make a call that is handed over, and wait for its result, on whichever replica."""
        said = self._next_mark()
        pause = self.random.uniform(1.5, 6)
        answer = await self.call(ASK, prompt=f"[[say {said} {said}]] [[pause {pause:.1f}]]")
        self._acknowledge(f"{said} {said}", await self._finished(answer))

    async def _finished(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a call, which may be running."""
        while answer["status"] == "running":
            self.record.publish("job", self.name, answer["response_id"])
            answer = await self.call("get_response", response_id=answer["response_id"], wait_seconds=2)
        if answer["status"] != "completed":
            raise RefusedError(f"the job ended as {answer['status']}")
        return answer

    async def repeat(self) -> None:
        """Make a call twice with one idempotency key; other users use the same key."""
        said = self._next_mark()
        key = f"key-{self._count}"
        first = await self._finished(await self.call(ASK, prompt=f"[[say {said}]]", idempotency_key=key))
        second = await self._finished(await self.call(ASK, prompt=f"[[say {said}]]", idempotency_key=key))
        if first.get("conversation_id") != second.get("conversation_id"):
            self.record.wrong.append(f"{self.name}: {key} made two conversations")
        self._acknowledge(said, first)

    async def generate(self) -> None:
        """Generate an image and read it, on whichever replica."""
        drawn = await self._finished(
            await self.call("generate_image", prompt=f"a lighthouse {self._next_mark()}", size="256x256")
        )
        uri = drawn["images"][0]["uri"]
        self.record.publish("picture", self.name, uri)
        assert self._client is not None
        read = await self._client.read_resource(uri)
        if getattr(read.contents[0], "mime_type", "") != "image/png":
            self.record.wrong.append(f"{self.name}: {uri} is {read.contents[0]}")

    async def review(self) -> None:
        """List the conversations: only the user's own."""
        listed = await self.call("manage_conversations", action="list")
        self._check_marks(json.dumps(listed))

    async def pry(self) -> None:
        """Try ids of other users: each is answered like an id that never existed."""
        kind = self.random.choice(["conversation", "job", "picture"])
        others = [found for user, found in self.record.published.get(kind, []) if user != self.name]
        if not others:
            return
        other = self.random.choice(others)
        never = _ID_END.sub("0000", other)
        refused, unknown = await self._attempt(kind, other), await self._attempt(kind, never)
        if refused != unknown.replace(_last_part(never), _last_part(other)):
            self.record.wrong.append(f"{self.name}: {kind} {other} of somebody else is not answered as {never}")

    async def _attempt(self, kind: str, identifier: str) -> str:
        """Return how an id that is not the user's is refused."""
        assert self._client is not None
        if kind == "picture":
            try:
                await self._client.read_resource(identifier)
            except MCPError as error:
                return str(error)
            self.record.wrong.append(f"{self.name} has read {identifier}")
            return "read"
        tool, arguments = {
            "conversation": ("manage_conversations", {"action": "show", "conversation_id": identifier}),
            "job": ("get_response", {"response_id": identifier, "wait_seconds": 0}),
        }[kind]
        try:
            await self.call(tool, **arguments)
        except RefusedError as error:
            return str(error)
        self.record.wrong.append(f"{self.name} has read {identifier}")
        return "read"

    async def missing_turns(self) -> list[str]:
        """Return the acknowledged turns that the service does not have any more."""
        missing = []
        async with self._connected() as client:
            self._client = client
            for conversation, marks in self.record.acknowledged.get(self.name, {}).items():
                shown = await self.call(
                    "manage_conversations", action="export", conversation_id=conversation, format="json"
                )
                text = json.dumps(shown)
                missing += [f"{conversation}: {mark}" for mark in marks if mark not in text]
        self._client = None
        return missing

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        async with (
            create_mcp_http_client(headers=dict(self.headers)) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=self.era) as client,
        ):
            yield client

    def _next_mark(self) -> str:
        self._count += 1
        return f"{self.mark}{self._count}"

    def _acknowledge(self, said: str, answer: Mapping[str, Any]) -> None:
        if answer.get("text") != said:
            self.record.wrong.append(f"{self.name} said {said} and got {answer.get('text')!r}")
        conversation = answer["conversation_id"]
        turns = self.record.acknowledged.setdefault(self.name, {}).setdefault(conversation, [])
        if not turns:
            self.record.publish("conversation", self.name, conversation)
        turns.append(said)

    def _check_marks(self, text: str) -> None:
        others = set(text.split("mark-")[1:])
        for found in others:
            owner = found.partition("-")[0]
            if owner != self.name:
                self.record.wrong.append(f"{self.name} was shown mark-{found[:20]}")


def _last_part(identifier: str) -> str:
    """Return the name in a URI, or an id unchanged."""
    return identifier.rpartition("/")[2]
