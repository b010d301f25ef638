"""The policy of a user's App: that of the name in the user's newest token, and the folder that it opens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp.server.auth.provider import AccessToken
from starlette.requests import Request

from databricks_responses_mcp.calls.call_log import User
from databricks_responses_mcp.service.callers import Caller, SignedInUser
from databricks_responses_mcp.service.governance import Governance
from databricks_responses_mcp.service.settings import load_service_settings
from databricks_responses_mcp.service.user_apps import UserApps, WorkspaceIdentity, open_user_apps
from databricks_responses_mcp.store.memory import MemoryStore
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.policies import rules

pytestmark = pytest.mark.anyio

ISSUER = "https://issuer.example"
POLICY = """
[users."auditor@example.com"]
read_only = true
tools.allow = ["search_web"]
tokens_per_day = 1000
"""


def request_of(name: str) -> Request:
    caller = Caller(issuer=ISSUER, subject="u-1", name=name)
    token = AccessToken(token="t", client_id="test", scopes=[], subject="u-1", claims={"iss": ISSUER})
    return Request({"type": "http", "headers": [], "user": SignedInUser(caller, token)})


@asynccontextmanager
async def apps_of(emulator: RunningEmulator, folder: Path, governance: Governance) -> AsyncIterator[UserApps]:
    """Open the Apps of the users of a service."""
    settings = settings_for(emulator, folder)
    async with (
        open_user_apps(
            settings,
            {},
            load_service_settings({}, secrets=settings.secrets),
            store=MemoryStore(""),
            identity=WorkspaceIdentity.SERVICE,
            governance=governance,
        ) as apps,
        anyio.create_task_group() as tasks,
    ):
        apps.run_in(tasks)
        yield apps
        tasks.cancel_scope.cancel()


async def test_a_user_whose_token_has_another_name_gets_the_rules_of_that_name(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    governance = Governance(rules(POLICY), None, has_table=True, is_strict=True)
    async with apps_of(emulator, tmp_path, governance) as apps:
        app = apps.app_for(request_of(""))
        assert app.bridge.policy is not None
        before = (app.bridge.policy.is_read_only, app.bridge.request_limiter, app.user)
        assert apps.app_for(request_of("auditor@example.com")) is app
        limiter = app.bridge.request_limiter
        assert limiter is not None
        after = (app.bridge.policy.is_read_only, app.user)
        assert limiter.policy is app.bridge.policy
        assert apps.app_for(request_of("")) is app
        assert app.bridge.request_limiter is None
        tools = "search_web", "generate_image"
        listed = [apps.listed_tools(tools, request_of(name)) for name in ("", "Auditor@Example.com")]
    assert before == (False, None, User(issuer=ISSUER, subject="u-1", name=""))
    assert after == (True, User(issuer=ISSUER, subject="u-1", name="auditor@example.com"))
    assert listed == [{"search_web", "generate_image"}, {"search_web"}]


async def test_a_folder_is_open_only_while_the_users_token_has_the_name_that_it_is_given_to(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    governance = Governance(
        rules('[users."alice@example.com"]\nfolder = "/srv/alice"'), None, has_table=False, is_strict=False
    )
    async with apps_of(emulator, tmp_path, governance) as apps:
        folders = []
        app = apps.app_for(request_of("alice@example.com"))
        for name in ("alice@example.com", "", "alice@example.com"):
            assert apps.app_for(request_of(name)) is app
            assert app.files is not None
            folders.append(app.files.folder)
    assert folders == [Path("/srv/alice"), None, Path("/srv/alice")]


def test_users_who_share_a_section_do_not_share_its_folder() -> None:
    text = """
        default.folder = "/srv/all"
        [[group]]
        name = "science"
        members = ["*@science.example.com"]
        folder = "/srv/science"
        [users."alice@example.com"]
        folder = "/srv/alice"
        [users."*@example.net"]
        folder = "/srv/net"
    """
    governance = Governance(rules(text), None, has_table=False, is_strict=False)
    folders = {}
    for name in ("alice@example.com", "bob@example.com", "bob@science.example.com", "bob@example.net"):
        caller = Caller(issuer=ISSUER, subject=f"id of {name}", name=name)
        folder = str(governance.folder_of(caller))
        folders[name] = folder.replace(caller.folder_name, "OWN")
    assert folders == {
        "alice@example.com": "/srv/alice",
        "bob@example.com": "/srv/all/OWN",
        "bob@science.example.com": "/srv/science/OWN",
        "bob@example.net": "/srv/net/OWN",
    }
    assert Governance(None, None, has_table=False, is_strict=False).folder_of(caller) is None
