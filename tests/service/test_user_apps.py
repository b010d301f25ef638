"""An App for each signed-in user: what they share, how long each lives, and which credentials it uses."""

import gc
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot
from mcp.shared.exceptions import MCPError

from databricks_responses_mcp.service.user_apps import WorkspaceIdentity
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.sqlite import SqliteStore
from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.team import add_user, team

pytestmark = pytest.mark.anyio
RESPONSES = "/serving-endpoints/responses"


def users_of(emulator: RunningEmulator, path: str = RESPONSES) -> list[str]:
    return [exchange.user for exchange in emulator.state.request_log.to(path)]


async def test_the_workspace_is_called_with_the_token_of_each_users_newest_request(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    ann, ben = add_user(emulator, "ann"), add_user(emulator, "ben")
    async with team(emulator, tmp_path) as service:
        async with (
            service.user("ann", workspace_token=ann) as host_of_ann,
            service.user("ben", workspace_token=ben) as host_of_ben,
        ):
            for host in (host_of_ann, host_of_ben, host_of_ann):
                _, _, failed = await host.call("ask_databricks_model", prompt="hello")
                assert not failed
        newer = add_user(emulator, "ann-2")
        emulator.state.users.revoke(ann)
        async with service.user("ann", workspace_token=newer) as host:
            _, _, failed = await host.call("ask_databricks_model", prompt="hello")
            assert not failed
        assert len(service.apps) == 2
    assert users_of(emulator) == ["ann", "ben", "ann", "ann-2"]


async def test_a_user_whose_token_the_workspace_refuses_is_told_what_a_user_can_do(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    ann = add_user(emulator, "ann")
    async with team(emulator, tmp_path) as service, service.user("ann", workspace_token=ann) as host:
        emulator.state.users.revoke(ann)
        _, facts, failed = await host.call("ask_databricks_model", prompt="hello")
    assert failed
    assert (facts["error"]["code"], facts["error"]["hint"]) == ("unauthenticated", "Sign in again in the MCP host.")


@pytest.mark.slow
async def test_a_request_without_a_token_is_refused_even_if_an_earlier_one_brought_one(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    ann = add_user(emulator, "ann")
    async with team(emulator, tmp_path) as service:
        async with service.user("ann", workspace_token=ann) as host:
            await host.call("ask_databricks_model", prompt="hello")
        async with service.user("ann") as host:
            with pytest.raises(MCPError) as refused:
                await host.call("ask_databricks_model", prompt="hello")
            with pytest.raises(MCPError):
                await host.client.read_resource("model://databricks-gpt-5")
    assert str(refused.value) == snapshot(
        "This request brought no token of yours for the workspace (X-Forwarded-Access-Token), and the service does not "
        "use its own in its place. A workspace administrator has to turn on user authorization for Databricks Apps, "
        "the app needs the scopes that its documentation names, and you have to agree to them; then sign in again."
    )
    assert users_of(emulator) == ["ann"]


async def test_as_the_service_the_workspace_sees_the_configured_credentials(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    ann = add_user(emulator, "ann")
    async with (
        team(emulator, tmp_path, identity=WorkspaceIdentity.SERVICE) as service,
        service.user("ann", workspace_token=ann) as host,
    ):
        _, _, failed = await host.call("ask_databricks_model", prompt="hello")
    assert not failed
    assert users_of(emulator) == ["first"]


async def test_what_a_user_may_not_see_is_not_shown_from_the_listing_of_another(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    ann = add_user(emulator, "ann")
    ben = add_user(emulator, "ben", unseen_endpoints={"databricks-gpt-5-nano"})
    async with (
        team(emulator, tmp_path) as service,
        service.user("ann", workspace_token=ann) as host_of_ann,
        service.user("ben", workspace_token=ben) as host_of_ben,
    ):
        seen = []
        for host in (host_of_ann, host_of_ben):
            _, listed, _ = await host.call("list_databricks_models")
            resource = "model://databricks-gpt-5-nano"
            try:
                await host.client.read_resource(resource)
                shown = True
            except MCPError:
                shown = False
            seen.append(("databricks-gpt-5-nano" in [model["name"] for model in listed["models"]], shown))
    assert seen == [(True, True), (False, False)]


@pytest.mark.slow
async def test_an_app_is_dropped_when_it_is_idle_and_never_while_a_call_runs(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    ann, ben = add_user(emulator, "ann"), add_user(emulator, "ben")
    limits = {"RESPONSES_MCP_SERVICE_MAX_USERS": "1"}
    async with (
        team(emulator, tmp_path, service=limits) as service,
        service.user("ann", workspace_token=ann) as host_of_ann,
        service.user("ben", workspace_token=ben) as host_of_ben,
        anyio.create_task_group() as tasks,
    ):
        with emulator.state.hold(1) as hold, anyio.fail_after(DEADLINE_SECONDS):
            answered, answers = anyio.Event(), []

            async def ask() -> None:
                _, facts, _ = await host_of_ann.call("ask_databricks_model", prompt="hello")
                answers.append(facts["conversation_id"])
                answered.set()

            tasks.start_soon(ask)
            await hold.reached.wait()
            await host_of_ben.call("list_databricks_models")
            gc.collect()
            assert len(service.apps) == 2
        with anyio.fail_after(DEADLINE_SECONDS):
            await answered.wait()
            while len(service.apps) > 1:
                await anyio.sleep(0.01)
                gc.collect()
        # What was stored is found again.
        _, facts, failed = await host_of_ann.call(
            "ask_databricks_model", prompt="and then?", conversation_id=answers[0]
        )
        assert (failed, facts["conversation_id"]) == (False, answers[0])


@pytest.mark.slow
async def test_the_app_of_a_user_who_sends_nothing_is_dropped(emulator: RunningEmulator, tmp_path: Path) -> None:
    ann = add_user(emulator, "ann")
    limits = {"RESPONSES_MCP_SERVICE_USER_IDLE_SECONDS": "1"}
    async with team(emulator, tmp_path, service=limits) as service:
        async with service.user("ann", workspace_token=ann) as host:
            await host.call("ask_databricks_model", prompt="hello")
        with anyio.fail_after(DEADLINE_SECONDS):
            while len(service.apps):
                await anyio.sleep(0.05)
                gc.collect()


@pytest.mark.parametrize(("days", "kept"), [("0", 2), ("30", 1)])
async def test_records_of_the_audit_log_that_are_too_old_are_deleted_with_other_old_data(
    emulator: RunningEmulator, tmp_path: Path, days: str, kept: int
) -> None:
    store = SqliteStore(tmp_path / "audit.db", owner="")
    for age in (31, 29):
        await store.for_owner("ann").add_audit_record(time.time() - age * 86_400, {"tool": "ask"})
    service = {"RESPONSES_MCP_SERVICE_AUDIT": "table", "RESPONSES_MCP_SERVICE_AUDIT_DAYS": days}
    async with team(emulator, tmp_path, store=store, service=service) as running:
        await running.apps.sweep()
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM audit").fetchone() == (kept,)


async def test_users_learn_of_the_database_only_that_it_cannot_be_used(
    emulator: RunningEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store("postgresql://owner:secret@127.0.0.1:9/customers?sslmode=disable")
    ann = add_user(emulator, "ann")
    async with team(emulator, tmp_path, store=store) as service, service.user("ann", workspace_token=ann) as host:
        _, asked, failed = await host.call("ask_databricks_model", prompt="[[say an answer]]")
        assert not failed
        _, looked_up, _ = await host.call("get_response", response_id="job_0123456789abcdef")
        _, listed, _ = await host.call("manage_conversations", action="list")
    assert asked["text"] == "an answer"
    said = [asked["notes"][0], looked_up["error"]["message"], listed["error"]["message"]]
    assert all("the database of this service cannot be used now, and its log says why" in text for text in said), said
    assert not any(word in str((asked, looked_up, listed)) for word in ("127.0.0.1", "customers", "PostgreSQL"))
    assert "PostgreSQL at 127.0.0.1/customers cannot be reached" in caplog.text
