"""The workspace's token goes to the workspace and to Apps that it confirms, and nowhere else."""

import ast
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

import databricks_responses_mcp
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_responses_mcp.workspace.access import Access
from databricks_responses_mcp.workspace.apps import Apps
from databricks_responses_mcp.workspace.credentials import TokenCredentials
from databricks_responses_mcp.workspace.host import WorkspaceHost
from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness import Connect, settings_for

pytestmark = pytest.mark.anyio

WORKSPACE = "https://adb-1.2.azuredatabricks.net"
LISTED = "https://my-agent-1.aws.databricksapps.com"
TOKEN = "dapi-of-the-workspace"


class Workspace:
    """Answers questions about Apps from a list of pages, and counts them."""

    def __init__(self, *pages: Any, app: Any = None) -> None:
        self.pages = pages
        self.app = app
        self.asked: list[str] = []

    async def get_json(self, path: str, *, params: dict[str, str] | None = None) -> Any:
        self.asked.append(path)
        if path != "/api/2.0/apps":
            if self.app is None:
                raise BridgeError(ErrorCode.MODEL_NOT_FOUND, "none", "", status=404)
            return self.app
        if not self.pages:
            raise BridgeError(ErrorCode.PERMISSION_DENIED, "not yours", "", status=403)
        number = int((params or {}).get("page_token", 0))
        more = {"next_page_token": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {"apps": self.pages[number], **more}

    def access(self, origin: str = WORKSPACE) -> tuple[Access, Apps]:
        async def own() -> str:
            return origin

        apps = Apps(self.get_json, own)
        return Access(TokenCredentials(WorkspaceHost(origin), TOKEN), apps), apps


@asynccontextmanager
async def eavesdropper() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Somebody who listens on loopback: the port, and everything that was sent there."""
    heard: list[bytes] = []

    async def serve(stream: anyio.abc.SocketStream) -> None:
        heard.append(b"connected")
        async with stream:
            heard.append(await stream.receive())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), heard
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "model",
    [
        "http://127.0.0.1:{port}/any/path?q",
        "http://127.0.0.1:{port}",
        "http://localhost:{port}/containers/create",
        "http://evil.localhost:{port}/x",
        "http://[::1]:{port}/x",
        "https://127.0.0.1:{port}/x",
        "http://x@127.0.0.1:{port}/x",
    ],
)
async def test_a_model_cannot_choose_where_the_token_is_sent(
    connect: Connect, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def to_loopback(host: Any, *more: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", to_loopback)
    async with eavesdropper() as (port, heard), connect() as host:
        extra = {"HostConfig": {"Privileged": True}}
        _, facts, failed = await host.call(
            "ask_databricks_model", prompt="Hi", model=model.format(port=port), extra=extra
        )
    assert failed
    assert facts["error"]["code"] == "invalid_argument"
    assert heard == []


async def test_a_model_cannot_call_other_apis_of_the_workspace(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        for path in ("", "/", "/api/2.0/secrets/put", "/apps/my-agent/../../api/2.0/secrets/put", "/apps/my-agentx"):
            _, facts, failed = await host.call("ask_databricks_model", prompt="Hi", model=f"{emulator.host}{path}")
            assert failed, path
            assert facts["error"]["code"] == "invalid_argument"
    assert [exchange for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"] == []


async def test_an_app_of_the_workspace_is_asked_by_its_address(tmp_path: Path) -> None:
    async with (
        run_emulator(credential="oauth") as running,
        open_bridge(settings_for(running, tmp_path), {}) as bridge,
    ):
        for model in ("apps/my-agent", f"{running.host}/apps/my-agent", f"{running.host}/apps/my-agent/invocations"):
            outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model=model))
            assert (outcome.text, outcome.surface) == ("hello", "app")
    asked = [exchange.path for exchange in running.state.request_log.exchanges if exchange.method == "POST"]
    assert asked == ["/apps/my-agent/responses", "/apps/my-agent/responses", "/apps/my-agent/invocations"]


async def test_the_token_goes_to_an_app_that_the_workspace_lists_on_whatever_page() -> None:
    workspace = Workspace([{"url": "https://first-1.aws.databricksapps.com"}], [None, {"name": "x"}, {"url": LISTED}])
    access, apps = workspace.access()
    assert await apps.request_url(LISTED) == f"{LISTED}/responses"
    assert await apps.request_url(f"{LISTED}/v2/ask") == f"{LISTED}/v2/ask"
    assert await access.headers_for(f"{LISTED}/responses") == {"Authorization": f"Bearer {TOKEN}"}
    assert workspace.asked == ["/api/2.0/apps"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "https://not-listed-1.aws.databricksapps.com",
        "https://example.com",
        "https://databricksapps.com.evil.example",
        "http://my-agent-1.aws.databricksapps.com",
        "https://my-agent-1.aws.databricksapps.com:8443",
        "https://my-agent-1.aws.databricksapps.com@evil.example",
        "https://user:word@my-agent-1.aws.databricksapps.com",
        "https://evil.example\\.databricksapps.com",
        "https://evil.example/.databricksapps.com",
        "https://my-agent-1.aws.databricksapps.com/../x",
        "https://my-agent-1.aws.databricksapps.com/%2e%2e/x",
        "https://my-agent-1.aws.databricksapps.com/x?y",
        "https://my-agent-1.aws.databricksapps.com#@evil.example",
        "https://my-agent-1.aws.databricksapps.com\n.evil.example",
        "https://[::1",
        "https://",
        f"{WORKSPACE}/api/2.0/secrets/put",
        WORKSPACE,
    ],
)
async def test_the_token_is_sent_to_no_other_address(url: str) -> None:
    # The workspace names whoever it likes as an App: what cannot be one gets nothing all the same.
    access, apps = Workspace([{"url": LISTED}, {"url": "https://evil.example"}, {"url": WORKSPACE}]).access()
    with pytest.raises(BridgeError) as caught:
        await apps.request_url(url)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    with pytest.raises(BridgeError):
        await access.address(url)
    if not url.startswith(WORKSPACE):
        with pytest.raises(BridgeError):
            await access.headers_for(url)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("path", ["//evil.example", "/a/../b", "/..", "/a\\b", "@evil.example", "evil", "", "/./x"])
async def test_a_path_of_the_workspace_cannot_leave_it(path: str) -> None:
    access, _ = Workspace([]).access()
    if path == "//evil.example":
        assert await access.address(path) == f"{WORKSPACE}//evil.example"
        return
    with pytest.raises(BridgeError):
        await access.address(path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a?b", "a#b", "a%2fb", "a b", "-a", "é", "x" * 200])
async def test_what_is_no_name_of_an_app_is_asked_of_nobody(name: str) -> None:
    workspace = Workspace([])
    with pytest.raises(BridgeError) as caught:
        await workspace.access()[1].request_url(f"apps/{name}")
    assert (caught.value.code, workspace.asked) == (ErrorCode.INVALID_ARGUMENT, [])


@pytest.mark.parametrize(
    "app",
    [{}, {"url": None}, {"url": ""}, {"url": "http://127.0.0.1:1/x"}, {"url": "https://evil.example"}, [], "x"],
)
async def test_an_app_with_an_invalid_address_gets_no_token(app: Any) -> None:
    _, apps = Workspace(app=app).access()
    with pytest.raises(BridgeError) as caught:
        await apps.request_url("apps/my-agent")
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


async def test_an_app_that_is_not_there_is_told_as_an_app() -> None:
    with pytest.raises(BridgeError, match="no App 'gone'") as caught:
        await Workspace().access()[1].request_url("apps/gone")
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


async def test_a_workspace_that_shows_no_apps_confirms_none() -> None:
    with pytest.raises(BridgeError) as caught:
        await Workspace().access()[1].request_url(LISTED)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT


def test_one_function_gives_out_credentials() -> None:
    """Every other place that reads them sends them nowhere (a check of signing in), or to the workspace's database."""
    root = Path(databricks_responses_mcp.__file__).parent
    places = set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "headers"
            ):
                continue
            if "credentials" in ast.unparse(node.func.value):
                places.add(file.relative_to(root).as_posix())
    assert places == {"workspace/access.py", "cli/checks.py", "turns/retention.py"}
