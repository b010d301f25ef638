"""Signing in for real: the SDK as it is installed, a token service on loopback, profiles on disk, programs on PATH."""

import base64
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_responses_mcp.workspace import sdk_credentials
from databricks_responses_mcp.workspace.credentials import Credentials, credentials_for
from databricks_responses_mcp.workspace.host import WorkspaceHost
from databricks_responses_mcp.workspace.settings import load_settings
from harness.clock import settable_clock
from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS
from harness.raw_server import raw_server

if TYPE_CHECKING:
    from conftest import TokenService

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("home")]
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the program is a shell script")


@pytest.fixture(scope="module", autouse=True)
def _sdk_is_loaded() -> None:
    """Loading it takes a second or more: the short limits of some tests are for signing in alone."""
    import databricks.sdk.core  # noqa: F401


FUTURE = "2099-01-01T00:00:00Z"


def credentials(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Credentials:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return credentials_for(load_settings(), os.environ)


async def refusal(credentials: Credentials) -> BridgeError:
    with anyio.fail_after(LONG_DEADLINE_SECONDS), pytest.raises(BridgeError) as caught:
        await credentials.headers()
    return caught.value


def told(error: BridgeError) -> list[str]:
    """The error as short lines, for the snapshots."""
    return [error.code.value, *textwrap.wrap(error.message, 90), *textwrap.wrap(f"-> {error.full_hint(mcp_words)}", 90)]


def principal(service: "TokenService") -> dict[str, str]:
    return {
        "DATABRICKS_HOST": f"{service.url}/serving-endpoints",
        "DATABRICKS_CLIENT_ID": "robot",
        "DATABRICKS_CLIENT_SECRET": "robots-secret",
    }


async def test_a_service_principal_signs_in(token_service: "TokenService", monkeypatch: pytest.MonkeyPatch) -> None:
    robot = credentials(monkeypatch, **principal(token_service))
    with anyio.fail_after(DEADLINE_SECONDS):
        assert await robot.headers() == {"Authorization": "Bearer token-1", "X-Databricks-Workspace-Id": "4711"}
        assert await robot.host() == WorkspaceHost(token_service.url, "4711")
    assert robot.describe == "environment (oauth-m2m)"
    assert base64.b64decode(token_service.authorizations[0].removeprefix("Basic ")) == b"robot:robots-secret"


async def test_many_calls_at_once_sign_in_once(token_service: "TokenService", monkeypatch: pytest.MonkeyPatch) -> None:
    robot = credentials(monkeypatch, **principal(token_service))
    given: list[object] = []

    async def call() -> None:
        given.append((await robot.headers())["Authorization"])

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(call)
        for _ in range(3):
            await call()
    assert given == ["Bearer token-1"] * 103
    assert token_service.asked.count("/token") == 1


async def test_refreshing_signs_in_anew(token_service: "TokenService", monkeypatch: pytest.MonkeyPatch) -> None:
    robot = credentials(monkeypatch, **principal(token_service))
    with anyio.fail_after(DEADLINE_SECONDS):
        await robot.headers()
        assert await robot.refresh() is True
        assert (await robot.headers())["Authorization"] == "Bearer token-2"


async def test_a_refused_service_principal_is_told(
    token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    token_service.refuse = True
    error = await refusal(credentials(monkeypatch, **principal(token_service)))
    assert error.code is ErrorCode.UNAUTHENTICATED
    assert told(error) == snapshot(
        [
            "unauthenticated",
            "The service principal was not accepted: invalid_client: Client authentication failed.",
            "-> Check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, and that the principal belongs",
            "to this workspace.",
        ]
    )
    assert "DATABRICKS_CLIENT_SECRET" in error.hint
    assert "robots-secret" not in str(error)


async def test_a_token_service_that_hangs_is_left_and_asked_anew_later(
    token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK waits for it without any limit, and holds a lock meanwhile."""
    token_service.gate.clear()
    seconds = 2 * DEADLINE_SECONDS
    robot = credentials(monkeypatch, **principal(token_service), RESPONSES_MCP_AUTH_TIMEOUT_SECONDS=str(seconds))
    with settable_clock() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.advance_once, token_service.waiting.is_set, seconds)
            error = await refusal(robot)
    assert (error.code, error.retryable) == (ErrorCode.TIMEOUT, True)
    token_service.gate.set()
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await robot.headers())["Authorization"].startswith("Bearer token-")


async def test_a_sign_in_that_hangs_is_forgotten_also_while_it_still_hangs(
    token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for it again, or for the lock that it holds, would only time out again."""
    hanging = token_service.gate
    hanging.clear()
    seconds = 2 * DEADLINE_SECONDS
    robot = credentials(monkeypatch, **principal(token_service), RESPONSES_MCP_AUTH_TIMEOUT_SECONDS=str(seconds))
    with settable_clock() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.advance_once, token_service.waiting.is_set, seconds)
            assert (await refusal(robot)).code is ErrorCode.TIMEOUT
    token_service.gate = threading.Event()
    token_service.gate.set()
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await robot.headers())["Authorization"] == "Bearer token-2"
    hanging.set()
    assert token_service.asked.count("/token") == 2


async def test_a_sign_in_that_hangs_is_forgotten_also_if_those_who_waited_were_cancelled_before(
    token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = token_service.gate
    hanging.clear()
    seconds = 2 * DEADLINE_SECONDS
    robot = credentials(monkeypatch, **principal(token_service), RESPONSES_MCP_AUTH_TIMEOUT_SECONDS=str(seconds))
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(robot.headers)
            await anyio.to_thread.run_sync(token_service.waiting.wait)
            tasks.cancel_scope.cancel()
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + seconds)
    monkeypatch.setattr(sdk_credentials, "time", later)
    token_service.gate = threading.Event()
    token_service.gate.set()
    try:
        with anyio.fail_after(DEADLINE_SECONDS):
            assert (await robot.headers())["Authorization"] == "Bearer token-2"
    finally:
        hanging.set()


async def test_a_cancelled_call_leaves_the_sign_in_to_the_others(
    token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    token_service.gate.clear()
    robot = credentials(monkeypatch, **principal(token_service))
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(robot.headers)
            await anyio.to_thread.run_sync(token_service.waiting.wait)
            tasks.cancel_scope.cancel()
        token_service.gate.set()
        assert (await robot.headers())["Authorization"] == "Bearer token-1"
    assert token_service.asked.count("/token") == 1


@pytest.mark.slow
async def test_a_host_that_never_answers_holds_nobody(silent_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"DATABRICKS_HOST": silent_host, "DATABRICKS_CLIENT_ID": "x", "DATABRICKS_CLIENT_SECRET": "y"}
    error = await refusal(credentials(monkeypatch, **environ, RESPONSES_MCP_AUTH_TIMEOUT_SECONDS="1"))
    assert error.code in (ErrorCode.TIMEOUT, ErrorCode.UPSTREAM_UNAVAILABLE)
    assert error.retryable


@pytest.mark.slow
async def test_a_host_that_refuses_connections_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"DATABRICKS_HOST": "http://127.0.0.1:9", "DATABRICKS_CLIENT_ID": "x", "DATABRICKS_CLIENT_SECRET": "y"}
    error = await refusal(credentials(monkeypatch, **environ, RESPONSES_MCP_AUTH_TIMEOUT_SECONDS=str(DEADLINE_SECONDS)))
    assert told(error) == snapshot(
        [
            "upstream_unavailable",
            "The workspace did not say where to sign in: it cannot be reached, or the address is not a",
            "workspace's.",
            "-> Check DATABRICKS_HOST, the network and any proxy. `databricks-responses-mcp doctor`",
            "shows which check fails.",
        ]
    )


async def test_nothing_configured_lists_the_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await refusal(credentials(monkeypatch))
    assert told(error) == snapshot(
        [
            "not_configured",
            "No Databricks workspace is configured.",
            "-> Set DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile of ~/.databrickscfg in",
            "DATABRICKS_CONFIG_PROFILE, or set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET beside",
            "the host. To sign in, have the user run `databricks auth login`. To try it without a",
            "workspace, start the server with --embedded.",
        ]
    )


async def test_a_token_without_a_host_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await refusal(credentials(monkeypatch, DATABRICKS_TOKEN="dapi-1"))
    assert told(error) == snapshot(
        [
            "not_configured",
            "DATABRICKS_TOKEN is set, but not which workspace it is for.",
            "-> Set DATABRICKS_HOST to the workspace's address as well.",
        ]
    )


async def test_a_way_to_sign_in_without_a_host_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await refusal(
        credentials(monkeypatch, DATABRICKS_CLIENT_ID="robot", DATABRICKS_CLIENT_SECRET="robots-secret")
    )
    assert error.code is ErrorCode.NOT_CONFIGURED
    assert "A way to sign in is set, but not which workspace it is for." in error.message
    assert "DATABRICKS_HOST" in error.hint


async def test_the_default_profile_is_found(
    home: Path, token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".databrickscfg").write_text(f"[DEFAULT]\nhost = {token_service.url}/?o=9\ntoken = dapi-file\n")
    user = credentials(monkeypatch)
    assert user.describe == "Databricks unified authentication"
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await user.headers())["Authorization"] == "Bearer dapi-file"
        assert (await user.host()).origin == token_service.url
    assert user.describe == "profile DEFAULT (pat)"
    assert await user.refresh() is False


async def test_a_named_profile_of_a_file_elsewhere_is_used(
    tmp_path: Path, token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "profiles.ini"
    file.write_text(f"[dev]\nhost = {token_service.url}\nclient_id = robot\nclient_secret = s\n")
    user = credentials(monkeypatch, DATABRICKS_CONFIG_FILE=str(file), DATABRICKS_CONFIG_PROFILE="dev")
    assert user.describe == "profile dev"
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await user.headers())["Authorization"] == "Bearer token-1"
    assert user.describe == "profile dev (oauth-m2m)"


PROFILES = (
    "[DEFAULT]\nhost = https://a.example.com\ntoken = dapi-a\n[dev]\nhost = https://b.example.com\ntoken = dapi-b\n"
)


@pytest.mark.parametrize(
    ("profiles", "environ", "expected"),
    [
        (
            PROFILES,
            {"DATABRICKS_CONFIG_PROFILE": "prod"},
            snapshot(
                [
                    "not_configured",
                    "There is no profile prod in .databrickscfg; it has DEFAULT, dev.",
                    "-> Correct DATABRICKS_CONFIG_PROFILE, or create the profile. To sign in, have the user run",
                    "`databricks auth login --profile prod`.",
                ]
            ),
        ),
        (
            None,
            {"DATABRICKS_CONFIG_PROFILE": "prod"},
            snapshot(
                [
                    "not_configured",
                    "The profile prod is configured, but there is no file .databrickscfg to find it in.",
                    "-> Unset DATABRICKS_CONFIG_PROFILE, or create the profile. To sign in, have the user run",
                    "`databricks auth login --profile prod`.",
                ]
            ),
        ),
        (
            PROFILES,
            {"DATABRICKS_CONFIG_PROFILE": "dev", "DATABRICKS_HOST": "https://a.example.com"},
            snapshot(
                [
                    "not_configured",
                    "Two workspaces are configured: the profile dev is for https://b.example.com, and",
                    "DATABRICKS_HOST is https://a.example.com.",
                    "-> Unset DATABRICKS_CONFIG_PROFILE or DATABRICKS_HOST, whichever is not meant.",
                ]
            ),
        ),
        (
            PROFILES,
            {"DATABRICKS_CONFIG_PROFILE": "dev", "DATABRICKS_TOKEN": "dapi-other"},
            snapshot(
                [
                    "not_configured",
                    "Two ways to sign in are configured: the profile dev has its own, and DATABRICKS_TOKEN is",
                    "set too.",
                    "-> Unset DATABRICKS_CONFIG_PROFILE or DATABRICKS_TOKEN, whichever is not meant.",
                ]
            ),
        ),
        (
            "no heading\ntoken = dapi-secret\n",
            {"DATABRICKS_CONFIG_PROFILE": "dev"},
            snapshot(
                [
                    "not_configured",
                    ".databrickscfg cannot be read (line 1).",
                    "-> Correct the file: it has [profile] headings, and lines such as `host = https://…` under",
                    "them.",
                ]
            ),
        ),
        (
            "no heading\ntoken = dapi-secret\n",
            {},
            snapshot(
                [
                    "not_configured",
                    ".databrickscfg cannot be read (line 1).",
                    "-> Correct the file: it has [profile] headings, and lines such as `host = https://…` under",
                    "them.",
                ]
            ),
        ),
        (
            "[dev]\nhost = https://accounts.cloud.databricks.com\n",
            {"DATABRICKS_CONFIG_PROFILE": "dev"},
            snapshot(
                [
                    "not_configured",
                    "The profile dev of ~/.databrickscfg is wrong. accounts.cloud.databricks.com is the account",
                    "console, not a workspace: it serves no models.",
                    "-> Correct `host` under [dev]: it is the address in the browser's bar when the workspace",
                    "is open, such as https://dbc-a1b2c3d4-e5f6.cloud.databricks.com (AWS),",
                    "https://adb-1234567890123456.7.azuredatabricks.net (Azure) or",
                    "https://1234567890123456.7.gcp.databricks.com (Google Cloud). To sign in, have the user",
                    "run `databricks auth login --profile dev`.",
                ]
            ),
        ),
    ],
)
async def test_a_configuration_that_contradicts_itself_is_explained(
    home: Path, monkeypatch: pytest.MonkeyPatch, profiles: str | None, environ: dict[str, str], expected: list[str]
) -> None:
    if profiles is not None:
        (home / ".databrickscfg").write_text(profiles)
    error = await refusal(credentials(monkeypatch, **environ))
    assert error.code is ErrorCode.NOT_CONFIGURED
    assert told(error) == expected
    assert "secret" not in str(error)


async def test_several_ways_to_sign_in_are_refused(
    token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await refusal(credentials(monkeypatch, **principal(token_service), DATABRICKS_TOKEN="dapi-1"))
    assert error.code is ErrorCode.NOT_CONFIGURED
    assert told(error) == snapshot(
        [
            "not_configured",
            "It is not clear how to sign in: more than one authorization method configured: oauth and",
            "pat.",
            "-> Unset all but one, or choose one with DATABRICKS_AUTH_TYPE (pat, oauth-m2m, azure-cli,",
            "databricks-cli, …).",
        ]
    )


async def test_a_program_that_is_not_installed_is_named(
    home: Path, token_service: "TokenService", monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".databrickscfg").write_text(f"[dev]\nhost = {token_service.url}\nauth_type = databricks-cli\n")
    monkeypatch.setenv("PATH", str(home))
    error = await refusal(credentials(monkeypatch, DATABRICKS_CONFIG_PROFILE="dev"))
    assert error.code is ErrorCode.NOT_CONFIGURED
    assert told(error) == snapshot(
        [
            "not_configured",
            "The workspace is configured to be signed in to with the Databricks CLI, which is not on",
            "PATH.",
            "-> Install it, or point DATABRICKS_CLI_PATH at it; a host that starts this server may have",
            "another PATH than the terminal.",
        ]
    )


def cli(home: Path, service: "TokenService", token_script: str) -> str:
    (home / ".databrickscfg").write_text(f"[dev]\nhost = {service.url}\nauth_type = databricks-cli\n")
    return f'if [ "$1" = version ]; then echo \'{{"Major": 0, "Minor": 300, "Patch": 1}}\'; exit 0; fi\n{token_script}'


@on_posix
async def test_the_databricks_cli_signs_in(
    home: Path, token_service: "TokenService", program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = json.dumps({"access_token": "from-cli", "token_type": "Bearer", "expiry": FUTURE})
    program("databricks", cli(home, token_service, f"echo \"$@\" >> {home}/asked\necho '{token}'"))
    user = credentials(monkeypatch, DATABRICKS_CONFIG_PROFILE="dev")
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await user.headers())["Authorization"] == "Bearer from-cli"
        assert (await user.headers())["Authorization"] == "Bearer from-cli"
    assert user.describe == "profile dev (databricks-cli)"
    assert (home / "asked").read_text().splitlines() == ["auth token --profile dev --force-refresh"]


@on_posix
async def test_an_expired_login_says_how_to_log_in(
    home: Path, token_service: "TokenService", program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        f"echo 'Error: a new access token could not be retrieved; see {home}/.databricks/token-cache.json' >&2; exit 1"
    )
    program("databricks", cli(home, token_service, script))
    error = await refusal(credentials(monkeypatch, DATABRICKS_CONFIG_PROFILE="dev"))
    assert error.code is ErrorCode.UNAUTHENTICATED
    assert told(error) == snapshot(
        [
            "unauthenticated",
            "The Databricks CLI has no valid sign-in: databricks-cli: cannot get access token: Error: a",
            "new access token could not be retrieved; see token-cache.json.",
            "-> To sign in, have the user run `databricks auth login --profile dev`.",
        ]
    )


@pytest.mark.slow
@on_posix
async def test_a_program_that_hangs_is_stopped(
    home: Path, token_service: "TokenService", program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("databricks", cli(home, token_service, "exec sleep 600"))
    environ = {"DATABRICKS_CONFIG_PROFILE": "dev", "RESPONSES_MCP_AUTH_TIMEOUT_SECONDS": "1"}
    error = await refusal(credentials(monkeypatch, **environ))
    assert (error.code, error.retryable) == (ErrorCode.TIMEOUT, True)


@pytest.mark.slow
@on_posix
async def test_all_headers_of_an_azure_service_principal_are_sent(
    program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = base64.urlsafe_b64encode(b'{"appid": "robot"}').decode().rstrip("=")
    token = json.dumps(
        {"accessToken": f"e30.{claims}.c2ln", "tokenType": "Bearer", "expiresOn": "2099-01-01 00:00:00.0"}
    )
    program("az", f"echo '{token}'")
    environ = {
        "DATABRICKS_HOST": "https://adb-1.2.azuredatabricks.net",
        # Nobody is asked what host this is: the SDK offers the Azure CLI for names of Azure only.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "RESPONSES_MCP_AUTH_TIMEOUT_SECONDS": str(DEADLINE_SECONDS),
        "DATABRICKS_AUTH_TYPE": "azure-cli",
        "DATABRICKS_AZURE_RESOURCE_ID": "/subscriptions/s/resourceGroups/g/workspaces/w",
        "ARM_TENANT_ID": "tenant",
    }
    robot = credentials(monkeypatch, **environ)
    with anyio.fail_after(DEADLINE_SECONDS):
        headers = await robot.headers()
    assert {name: value.replace(claims, "claims") for name, value in headers.items()} == snapshot(
        {
            "Authorization": "Bearer e30.claims.c2ln",
            "X-Databricks-Azure-Workspace-Resource-Id": "/subscriptions/s/resourceGroups/g/workspaces/w",
            "X-Databricks-Azure-SP-Management-Token": "e30.claims.c2ln",
        }
    )


@pytest.mark.slow
@on_posix
def test_a_program_that_signs_in_never_reads_our_standard_input(
    home: Path,
    token_service: "TokenService",
    program: Callable[[str, str], Path],
    run_with_open_input: Callable[[str, int], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole way: our input is a pipe that stays open, and the program reads its own to the end."""
    token = json.dumps({"access_token": "from-cli", "token_type": "Bearer", "expiry": FUTURE})
    program("databricks", cli(home, token_service, f"cat > {home}/read\necho '{token}'"))
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "dev")
    ours = (
        "import anyio, sys\n"
        "from databricks_responses_mcp.workspace.credentials import credentials_for\n"
        "from databricks_responses_mcp.workspace.settings import load_settings\n"
        "print(anyio.run(credentials_for(load_settings()).headers)['Authorization'], flush=True)\n"
        "print(sys.stdin.readline())\n"
    )
    lines = run_with_open_input(ours, 2)
    assert lines == ["Bearer from-cli", "request"]
    assert (home / "read").read_text() == ""


def test_a_sign_in_that_hangs_does_not_keep_the_process(silent_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", silent_host)
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "x")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "y")
    ours = (
        "import anyio\n"
        "from databricks_responses_mcp.workspace.credentials import credentials_for\n"
        "from databricks_responses_mcp.workspace.settings import load_settings\n"
        "async def main():\n"
        "    with anyio.move_on_after(0.1):\n"
        "        await credentials_for(load_settings()).headers()\n"
        "    print('left')\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ours], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    assert done.stdout == "left\n"


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-marked"]


def encoded(text: str, encoding: str) -> bytes:
    """The text as editors and shells of Windows write files."""
    marked = encoding == "utf-16-be-marked"
    return b"\xfe\xff" + text.encode("utf-16-be") if marked else text.encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["dev", None])
async def test_a_file_of_profiles_is_read_in_the_encodings_of_windows(
    home: Path, monkeypatch: pytest.MonkeyPatch, token_service: "TokenService", encoding: str, name: str | None
) -> None:
    section = name or "DEFAULT"
    text = (
        f"[other]\nhost = https://x.example.com\n[{section}]\r\nhost = {token_service.url}\r\ntoken = dapi-prüfung\r\n"
    )
    (home / ".databrickscfg").write_bytes(encoded(text.replace("prüfung", "pruefung"), encoding))
    reader = credentials(monkeypatch, **({"DATABRICKS_CONFIG_PROFILE": name} if name else {}))
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await reader.headers())["Authorization"] == "Bearer dapi-pruefung"
        assert (await reader.host()).origin == token_service.url
    assert reader.profile == section
    assert reader.describe == f"profile {section} (pat)"


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_service_principal_in_such_a_file_signs_in(
    home: Path, monkeypatch: pytest.MonkeyPatch, token_service: "TokenService", encoding: str
) -> None:
    text = f"[dev]\nhost = {token_service.url}\nclient_id = robot\nclient_secret = robots-secret\nunknown = 1\n"
    (home / ".databrickscfg").write_bytes(encoded(text, encoding))
    reader = credentials(monkeypatch, DATABRICKS_CONFIG_PROFILE="dev")
    with anyio.fail_after(DEADLINE_SECONDS):
        assert (await reader.headers())["Authorization"] == "Bearer token-1"


async def test_what_is_wrong_with_a_profile_is_told_of_the_profile(
    home: Path, monkeypatch: pytest.MonkeyPatch, token_service: "TokenService"
) -> None:
    token_service.refuse = True
    text = f"[dev]\nhost = {token_service.url}\nclient_id = robot\nclient_secret = robots-secret\n"
    (home / ".databrickscfg").write_text(text)
    error = await refusal(credentials(monkeypatch, DATABRICKS_CONFIG_PROFILE="dev"))
    assert told(error) == snapshot(
        [
            "unauthenticated",
            "The service principal was not accepted: invalid_client: Client authentication failed.",
            "-> Check client_id and client_secret of the profile dev, and that the principal belongs to",
            "this workspace.",
        ]
    )


@pytest.mark.parametrize("name", ["dev", None])
async def test_a_token_of_a_profile_that_is_refused_blames_the_profile(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    body = json.dumps({"error_code": "403", "message": "Invalid access token."})
    refused = f"HTTP/1.1 403 x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    async with raw_server(refused.encode()) as (server, _):
        text = f"[{name or 'DEFAULT'}]\nhost = {server.host}\ntoken = dapi-of-the-profile\n"
        (home / ".databrickscfg").write_text(text)
        environ = {"DATABRICKS_CONFIG_PROFILE": name} if name else {}
        async with open_bridge(load_settings(environ), environ) as bridge:
            with anyio.fail_after(DEADLINE_SECONDS), pytest.raises(BridgeError) as caught:
                async with bridge.client.responses({"model": "m", "input": []}):
                    pass
    error = caught.value
    assert error.code is ErrorCode.UNAUTHENTICATED
    assert f"profile {name or 'DEFAULT'} of ~/.databrickscfg" in error.hint
    assert f"databricks auth login --profile {name or 'DEFAULT'}" in error.full_hint(mcp_words)
    assert "DATABRICKS_TOKEN" not in error.full_hint(mcp_words)
