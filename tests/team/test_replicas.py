"""Three replicas of a service behind nginx, with PostgreSQL, while replicas die and the database restarts."""

import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness.foreign_server import free_port
from harness.nginx import nginx
from harness.oidc_provider import issuer_for, token_of
from harness.paced_engine import PacedEngine
from harness.postgres_server import postgres_server
from harness.replica import Replica, start_replica
from harness.stdio_process import environment
from harness.team_service import bearer, keys_in
from harness.team_users import HUNG, Record, User

pytestmark = [pytest.mark.anyio, pytest.mark.team]

USERS = 60
REPLICAS = 3
RUN_SECONDS = float(os.environ.get("TEAM_RUN_SECONDS", "180"))
THINK_SECONDS = 3.0
KILL_AT, ADD_AT, RESTART_AT = RUN_SECONDS / 3, RUN_SECONDS / 2, RUN_SECONDS * 2 / 3
RESTART_SECONDS = 15.0
"""How long calls may fail after the database began to restart: its own start, and new connections."""


@pytest.fixture
async def workspace() -> AsyncIterator[RunningEmulator]:
    async with run_emulator(engine=PacedEngine()) as emulator:
        yield emulator


async def test_no_turn_is_lost_and_nobody_sees_another_users_answer(workspace: RunningEmulator, tmp_path: Path) -> None:
    names = [f"u{number}" for number in range(USERS)]
    by_key, by_token = names[::2], names[1::2]
    keys = keys_in(tmp_path / "keys", *by_key)
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    record = Record()
    events: dict[str, float] = {}
    async with issuer_for(resource, *by_token) as issuer:
        tokens = {name: await token_of(issuer, name, resource) for name in by_token}
        signing_in = {name: bearer(credential) for name, credential in (keys | tokens).items()}
        with ExitStack() as stack:
            postgres = stack.enter_context(postgres_server())
            environ = environment(
                workspace,
                tmp_path,
                RESPONSES_MCP_STORE=postgres.new_database(),
                RESPONSES_MCP_SERVICE_PUBLIC_URL=resource,
                RESPONSES_MCP_SERVICE_OAUTH_ISSUER=issuer,
                RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys"),
                RESPONSES_MCP_SERVICE_STATE_KEYS="0123456789abcdef0123456789abcdef",
                RESPONSES_MCP_HAND_OVER_SECONDS="2",
            )
            replicas: list[Replica] = []

            async def add_replica() -> None:
                folder = tmp_path / f"replica-{len(replicas)}"
                replicas.append(await anyio.to_thread.run_sync(start_replica, folder, environ))
                stack.callback(replicas[-1].end)

            for _ in range(REPLICAS):
                await add_replica()
            front = stack.enter_context(nginx(tmp_path / "nginx", port, [one.port for one in replicas]))
            users = [
                User(
                    name=name,
                    url=resource,
                    headers=signing_in[name],
                    era="legacy" if number % 3 == 0 else "2026-07-28",
                    record=record,
                    random=random.Random(number),
                    draws=number % 6 == 0,
                )
                for number, name in enumerate(names)
            ]
            begun = anyio.current_time()

            async def disturb() -> None:
                await anyio.sleep_until(begun + KILL_AT)
                events["kill"] = anyio.current_time() - begun
                replicas[0].process.kill()
                await anyio.sleep_until(begun + ADD_AT)
                await add_replica()
                front.use([one.port for one in replicas[1:]])
                await anyio.sleep_until(begun + RESTART_AT)
                events["restart"] = anyio.current_time() - begun
                await anyio.to_thread.run_sync(postgres.restart, signal.SIGINT)
                events["restarted"] = anyio.current_time() - begun

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(disturb)
                for user in users:
                    tasks.start_soon(user.work, begun, begun + RUN_SECONDS, THINK_SECONDS)
            missing = [turn for user in users for turn in await user.missing_turns()]
    assert record.wrong == []
    assert missing == []
    assert [one for one in record.failures if one.problem == HUNG] == []
    # A call fails only if it was under way when the replica died, or while the database was away.
    killed, restarted = events["kill"], events["restart"]
    unexplained = [
        one
        for one in record.failures
        if not one.began <= killed <= one.ended
        and not (not one.is_transport and one.began <= events["restarted"] + RESTART_SECONDS and one.ended >= restarted)
    ]
    assert unexplained == []
    assert sum(record.calls.values()) > USERS * RUN_SECONDS / THINK_SECONDS / 4
