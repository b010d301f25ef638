"""Every class of faults against the real server: what each ends in, and what must hold whatever happens.

More exchanges than the bounded run: ``pytest -m slow -n 0 tests/faults/test_exchanges.py --exchanges 20000 --seed 7``.
"""

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.fault_classes import ASK, TOKEN, FaultClass, fault_classes
from harness.fault_server import FaultServer, fault_server
from harness.http_transports import TRANSPORTS, transport_environment
from harness.mcp_process import HANDSHAKE, NO_HANDSHAKE, McpProcess, faults_environment, mcp_process

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "maintaining" / "testing.md"
BEGIN, END = "<!-- begin fault-classes -->\n", "<!-- end fault-classes -->"
AT_ONCE = 6
PROMPTS = {ASK: "prompt", "search_web": "question", "generate_image": "prompt", "edit_files": "instruction"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exchange ended in."""

    code: str
    retryable: str
    requests: int
    text: str


def outcome_of(fault: FaultClass, result: dict[str, Any], requests: int) -> tuple[Outcome, list[str]]:
    """What an exchange came to, and which rules that hold for every exchange it broke."""
    if "content" not in result:
        return Outcome("protocol error", "", requests, ""), ["an error of the protocol"]
    facts, told = result["structuredContent"], result["content"][0]["text"]
    error = facts.get("error")
    text, told = (" ".join(re.sub(r"\[\d+\]", "", words).split()) for words in (facts.get("text", ""), told))
    # An edit sends the outcome of its operations back, which is a request of its own.
    most = len(fault.answers) if not fault.is_retried else 100
    rules = {
        "an error is told as one": bool(error) == bool(result.get("isError")),
        "no error is internal": error is None or error["code"] != "internal",
        "an error has a message and a hint": error is None or bool(error["message"] and error["hint"]),
        "an error says whether to try again": error is None or isinstance(error["retryable"], bool),
        "no status is completed beside an error": error is None or facts["status"] != "completed",
        "text that arrived is in the structure": " ".join(fault.arrived.split()) in text,
        "text that arrived is in words": not fault.arrived or fault.arrived.split()[0] in told,
        "usage that arrived is kept": not fault.paid or facts.get("usage", {}).get("input_tokens", 0) >= 11,
        "no request that may be billed is sent twice": requests <= most,
    }
    outcome = Outcome(
        code=f"`{error['code']}`" if error else facts["status"],
        retryable="" if error is None else "yes" if error["retryable"] else "no",
        requests=requests,
        text="all" if fault.arrived else "none came",
    )
    return outcome, [rule for rule, holds in rules.items() if not holds]


@dataclass
class Run:
    """Exchanges with one process of the server."""

    server: FaultServer
    client: McpProcess
    folder: Path
    numbered: dict[int, FaultClass]
    outcomes: dict[int, Outcome]
    broken: list[str]

    async def exchange(self, exchange: int, number: int) -> None:
        """One call with a fault, then proof that the process lives."""
        fault = self.numbered[number]
        arguments: dict[str, Any] = {PROMPTS[fault.tool]: f"fault:{number}:{exchange}"}
        if fault.tool == "edit_files":
            arguments["paths"] = [str(self.folder / "a.txt")]
        result = await self.client.call(fault.tool, **arguments)
        outcome, broken = outcome_of(fault, result, self.server.requests[exchange])
        if (before := self.outcomes.setdefault(number, outcome)) != outcome:
            broken.append(f"ends always in the same: {before}")
        self.broken += [f"{fault.group}, {fault.name}: {rule}: {outcome}" for rule in broken]
        await self.client.ping()


async def run(folder: Path, exchanges: int, seed: int, transport: str) -> dict[int, Outcome]:
    """Go through all classes, over and over, in an order of chance; what each ended in."""
    classes = fault_classes()
    chance = Random(seed)
    outcomes: dict[int, Outcome] = {}
    broken: list[str] = []
    (folder / "a.txt").write_text("one\n")
    async with fault_server([fault.answers for fault in classes], seed) as server:
        for revision, silent in ((HANDSHAKE, False), (NO_HANDSHAKE, True)):
            numbered = {number: fault for number, fault in enumerate(classes) if fault.is_silent == silent}
            wanted = len(numbered) if silent else max(exchanges, len(numbered))
            order = [
                number
                for _ in range(-(-wanted // len(numbered)))
                for number in chance.sample(sorted(numbered), len(numbered))
            ]
            log = folder / f"stderr-{revision}.txt"
            env = faults_environment(server.host, folder, timeout_seconds="3" if silent else "300")
            env |= transport_environment(transport, folder)
            async with mcp_process(env, log, revision=revision) as client:
                this = Run(server, client, folder, numbered, outcomes, broken)
                limiter = anyio.CapacityLimiter(len(numbered) if silent else AT_ONCE)

                async def one(exchange: int, number: int) -> None:
                    async with limiter:  # noqa: B023
                        await this.exchange(exchange, number)  # noqa: B023

                async with anyio.create_task_group() as tasks:
                    for exchange, number in enumerate(order[:wanted], (1 + silent) * 10_000_000):
                        tasks.start_soon(one, exchange, number)
                assert not client.strays
                assert len(client.answers) > wanted
                assert set(client.answers.values()) == {1}
                shown = {"stdout": bytes(client.output), "stderr": log.read_bytes()}
                broken += [f"{name}: no secret is shown" for name in shown if TOKEN.encode() in shown[name]]
                if b"internal-host" in shown["stdout"]:
                    broken.append("stdout: no page of a proxy is shown")
    assert not broken, "\n".join(broken)
    return outcomes


def joined(names: list[str]) -> str:
    """Join the names of classes; what varies behind a colon is listed once for all names that share it."""
    values: dict[str, list[str]] = defaultdict(list)
    for name in names:
        subject, _, value = name.partition(": ")
        values[subject].append(value)
    subjects: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for subject, varied in values.items():
        subjects[tuple(varied)].append(subject)
    return "; ".join(
        "; ".join(shared) if varied == ("",) else f"{', '.join(shared)}: {', '.join(varied)}"
        for varied, shared in subjects.items()
    )


def table(outcomes: dict[int, Outcome]) -> str:
    """The rows of the page: classes of one group that end alike, together."""
    rows: dict[tuple[str, Outcome], list[str]] = defaultdict(list)
    for number, fault in enumerate(fault_classes()):
        rows[fault.group, outcomes[number]].append(fault.name)
    lines = ["| fault | classes | ends in | retryable | requests | text kept |", "|---|---|---|---|---|---|"]
    for (group, outcome), names in rows.items():
        told = (group, joined(names), outcome.code, outcome.retryable, str(outcome.requests), outcome.text)
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_class_of_faults_ends_as_the_page_says(
    transport: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    exchanges, seed = request.config.getoption("--exchanges"), request.config.getoption("--seed")
    assert len(fault_classes()) >= 150
    with anyio.fail_after(LONG_DEADLINE_SECONDS):
        outcomes = await run(tmp_path, exchanges, seed, transport)
    page = PAGE.read_text(encoding="utf-8")
    head, begin, rest = page.partition(BEGIN)
    written, end, tail = rest.partition(END)
    assert begin
    assert end
    if os.environ.get("UPDATE_FAULT_CLASSES"):
        PAGE.write_text(head + begin + table(outcomes) + end + tail, encoding="utf-8")
        return
    assert table(outcomes) == written, "UPDATE_FAULT_CLASSES=1 writes the table anew: read what changed"
