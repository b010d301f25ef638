"""An embedded workspace that starts when it is asked."""

import sys
from pathlib import Path

import anyio
import httpx
import pytest

from databricks_workspace_emulator import on_demand
from databricks_workspace_emulator.engines.base import Engine
from databricks_workspace_emulator.engines.rules import RulesEngine
from databricks_workspace_emulator.on_demand import run_on_demand
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import server

pytestmark = pytest.mark.anyio


@pytest.fixture
def never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "_START_AFTER_SECONDS", 3600)


async def test_requests_that_come_before_the_start_are_answered(never_by_itself: None) -> None:
    made: list[Engine] = []

    def make() -> Engine:
        made.append(RulesEngine())
        return made[-1]

    statuses: list[int] = []
    with anyio.fail_after(DEADLINE_SECONDS):
        async with run_on_demand(make) as address, httpx.AsyncClient(trust_env=False) as client:
            assert not made

            async def ask(token: str) -> None:
                headers = {"authorization": f"Bearer {token}"}
                answer = await client.get(f"{address.host}/api/2.0/serving-endpoints", headers=headers)
                statuses.append(answer.status_code)

            async with anyio.create_task_group() as tasks:
                for token in (address.token, address.token, "another"):
                    tasks.start_soon(ask, token)
    assert (len(made), sorted(statuses)) == (1, [200, 200, 403])


async def test_one_that_nobody_asks_starts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "_START_AFTER_SECONDS", 0.01)
    started = anyio.Event()

    def make() -> Engine:
        anyio.from_thread.run_sync(started.set)
        return RulesEngine()

    with anyio.fail_after(DEADLINE_SECONDS):
        async with run_on_demand(make):
            await started.wait()


async def test_one_that_was_never_asked_ends_at_once(never_by_itself: None) -> None:
    def make() -> Engine:
        raise AssertionError("it was started")

    with anyio.fail_after(DEADLINE_SECONDS):
        async with run_on_demand(make) as address:
            port = int(address.host.rpartition(":")[2])
        with pytest.raises(OSError, match=r"refused|failed"):
            await anyio.connect_tcp("127.0.0.1", port)


async def test_no_web_server_is_imported_before_the_tools_are_listed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('uvicorn.config', 'databricks_workspace_emulator.app', 'httpx'):\n"
        "            print('IMPORTED', name, file=sys.stderr, flush=True)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from databricks_workspace_emulator import on_demand\n"
        "on_demand._START_AFTER_SECONDS = 3600\n",
        encoding="utf-8",
    )
    env = {"PATH": str(Path(sys.executable).parent), "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    async with server(env, "--embedded", "--engine", "rules") as raw:
        await raw.initialize()
        await raw.ask(1, "tools/list")
        raw.process.kill()
        assert raw.process.stderr is not None
        told = b"".join([piece async for piece in raw.process.stderr])
    assert b"IMPORTED uvicorn" not in told
    assert b"IMPORTED databricks_workspace_emulator.app" not in told
