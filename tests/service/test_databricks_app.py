"""The files of manifests/databricks-app: what the SDK understands, and the app run as the platform runs it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from enum import Enum
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
import yaml
from databricks.sdk.service.apps import App, AppManifest, ComputeSize, EnvVar

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.workspace.settings import SERVICE_PREFIX, settings_help
from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.users import User
from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS
from harness.generated import generated
from harness.lakebase_database import DATABASE, RealDatabase
from harness.postgres_server import PostgresServer, postgres_server
from harness.stdio_process import ASK
from harness.team_service import TeamServer, team_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
APP = ROOT / "manifests" / "databricks-app"
SOURCE_FOLDER = "/app/python/source_code"
CLIENT_ID = "7d2f6e1c-1111-4222-8333-944455566677"
ENDPOINT = "projects/team/branches/main/endpoints/primary"
VOLUME = "main.default.pictures"
STATE_KEY = "0123456789abcdef0123456789abcdef"
APP_HOST = "mcp-databricks-models-1234567890.7.azure.databricksapps.com"
KEYS_OF_THE_BUNDLE = {"source_code_path", "config"}
"""Keys of an app that ``databricks bundle`` itself reads; ``source_code_path`` is also one of the API."""

VALUES = {
    "app_name": "mcp-databricks-models",
    "lakebase_branch": "projects/team/branches/main",
    "lakebase_database": f"projects/team/branches/main/databases/{DATABASE}",
    "pictures_volume": VOLUME,
    "secret_scope": "team",
    "telemetry_schema": "main.team",
}
RESOURCES = {"postgres": ENDPOINT, "pictures": f"/Volumes/{VOLUME.replace('.', '/')}", "state-keys": STATE_KEY}
"""What the platform puts where a variable comes from a resource."""


def read(name: str) -> Any:
    return yaml.safe_load((APP / name).read_text(encoding="utf-8"))


def bundle() -> Any:
    """Return the bundle with its variables filled in."""
    text = (APP / "databricks.yml").read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"\$\{var\.(\w+)\}", lambda found: VALUES[found[1]], text))


def plain(value: Any) -> Any:
    """Return a value of the SDK as it is in YAML."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def test_the_sdk_knows_every_key_and_every_value_of_the_bundles_app() -> None:
    (app,) = bundle()["resources"]["apps"].values()
    config = app.pop("config")
    assert plain(App.from_dict(app).as_dict()) == app
    assert ComputeSize(app["compute_size"])
    assert set(config) == {"command", "env"}
    assert [EnvVar.from_dict(one).as_dict() for one in config["env"]] == config["env"]
    # An app's API says how many instances are kept, at least and at most.
    assert 1 <= app["compute_min_instances"] <= app["compute_max_instances"]


def test_a_key_or_a_value_that_the_sdk_does_not_know_would_be_noticed() -> None:
    (app,) = bundle()["resources"]["apps"].values()
    del app["config"]
    for wrong in ({"compute_minimum": 2}, {"resources": [{"name": "x", "postgres": {"permission": "CAN_DREAM"}}]}):
        assert plain(App.from_dict({**app, **wrong}).as_dict()) != {**app, **wrong}


def test_the_manifest_asks_for_the_resources_and_scopes_of_the_bundle() -> None:
    manifest, (app,) = read("manifest.yaml"), bundle()["resources"]["apps"].values()
    assert manifest.pop("user_api_scopes") == app["user_api_scopes"]  # the SDK's manifest has no field for them
    asked = {spec["name"]: spec for spec in manifest["resource_specs"]}
    assert list(asked) == [resource["name"] for resource in app["resources"]]
    for resource in app["resources"]:
        kind = next(key for key in resource if key not in ("name", "description"))
        spec = asked[resource["name"]][f"{kind}_spec"]
        assert spec.items() <= resource[kind].items()
    assert asked.pop("postgres") == {  # nor for Lakebase; Databricks' own templates have this form
        "name": "postgres",
        "description": "Conversations, running calls, usage and the audit log.",
        "postgres_spec": {"permission": "CAN_CONNECT_AND_CREATE"},
    }
    manifest["resource_specs"] = list(asked.values())
    assert plain(AppManifest.from_dict(manifest).as_dict()) == manifest


def test_names_are_as_the_platform_wants_them() -> None:
    (app,) = bundle()["resources"]["apps"].values()
    assert re.fullmatch(r"mcp-[a-z0-9-]{1,26}", app["name"])
    names = [resource["name"] for resource in app["resources"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{2,30}", name) for name in names)
    assert set(VALUES) == set(bundle()["variables"])
    # Others must not be able to change the code that is given the users' tokens.
    assert bundle()["targets"]["prod"]["workspace"]["root_path"].startswith("/Workspace/Users/")


def test_app_yaml_and_the_bundle_start_the_same_with_settings_that_exist() -> None:
    app, (bundled,) = read("app.yaml"), bundle()["resources"]["apps"].values()
    config = bundled["config"]
    assert app["command"] == config["command"] == [SERVER.distribution, "serve"]
    same = [{"valueFrom" if key == "value_from" else key: one[key] for key in one} for one in config["env"]]
    assert app["env"] == same
    known = {doc.env for doc in [*settings_help(), *settings_help(ServiceSettings, SERVICE_PREFIX)]}
    assert {one["name"] for one in app["env"]} <= known
    from_resources = {one["valueFrom"] for one in app["env"] if "valueFrom" in one}
    assert from_resources <= {resource["name"] for resource in bundled["resources"]}
    # A value that is a secret never stands in a file.
    assert [one["name"] for one in app["env"] if "value" in one and "KEY" in one["name"]] == []


def test_requirements_name_the_release_or_the_wheel_that_is_uploaded() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    (line,) = (one for one in (APP / "requirements.txt").read_text().splitlines() if not one.startswith("#"))
    path, extras = re.fullmatch(r"\./(.+\.whl)\[(.+)\]", line).groups()  # type: ignore[union-attr]
    assert path == f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert "*.whl" in read("databricks.yml")["sync"]["include"]
    released = generated("databricks_app", "app_files(released=True)['requirements.txt'].decode()")
    assert f"{project['name']}[{extras}]=={project['version']}\n" in released


def test_the_source_makes_the_wheel_that_requirements_name(tmp_path: Path) -> None:
    shutil.copytree(APP, tmp_path / "app")
    pip = ["python3", "-m", "pip", "--disable-pip-version-check"]
    environment = tmp_path / "environment"
    for command in (
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path / "app"), str(ROOT)],
        [sys.executable, "-m", "venv", "--without-pip", str(environment)],
        # As the platform installs it, in the folder of the app; without the dependencies, which take a while.
        [*pip, "--python", str(environment), "install", "--quiet", "--no-deps", "-r", "requirements.txt"],
    ):
        subprocess.run(command, cwd=tmp_path / "app", check=True, timeout=LONG_DEADLINE_SECONDS)
    program, *_ = read("app.yaml")["command"]
    assert (environment / "bin" / program).is_file()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        with psycopg.connect(running.url(), autocommit=True) as admin:
            admin.execute(f'CREATE ROLE "{CLIENT_ID}" LOGIN'.encode())
            admin.execute(f'CREATE DATABASE {DATABASE} OWNER "{CLIENT_ID}"'.encode())
        yield running


def platform_environment(postgres: PostgresServer, source_folder: Path, port: int = 0) -> dict[str, str]:
    """Return what the platform sets, and what app.yaml adds."""
    app = read("app.yaml")
    given = {
        one["name"]: (one["value"] if "value" in one else RESOURCES[one["valueFrom"]]).replace(
            SOURCE_FOLDER, str(source_folder)
        )
        for one in app["env"]
    }
    return {
        "DATABRICKS_APP_NAME": VALUES["app_name"],
        "DATABRICKS_APP_PORT": str(port),
        "DATABRICKS_CLIENT_ID": CLIENT_ID,
        "DATABRICKS_CLIENT_SECRET": "secret-of-the-app",
        "DATABRICKS_TOKEN": "",
        "RESPONSES_MCP_IMAGE_DIR": "",
        "RESPONSES_MCP_MODEL": "",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres.port),
        "PGDATABASE": DATABASE,
        "PGUSER": CLIENT_ID,
        "PGSSLMODE": "prefer",
        **given,
    }


def command_of_the_app() -> list[str]:
    """Return the command of app.yaml, with the program of this environment."""
    program, *arguments = read("app.yaml")["command"]
    return [str(Path(sys.executable).parent / program), *arguments]


def forwarded(name: str, token: str) -> dict[str, str]:
    """Return the headers that the platform's proxy sets for a user."""
    return {
        "X-Forwarded-User": f"{name}@1234567890",
        "X-Forwarded-Email": f"{name}@example.com",
        "X-Forwarded-Preferred-Username": name,
        "X-Forwarded-Access-Token": token,
        "X-Forwarded-Host": APP_HOST,
        "X-Request-Id": "5f0c",
        "accept": "application/json",
    }


async def ready(serving: TeamServer) -> TeamServer:
    """Return a service as soon as it is ready."""
    for _ in range(int(DEADLINE_SECONDS)):
        if (answer := await serving.send("GET", "/readyz")).status_code == 200:
            return serving
        await anyio.sleep(1)  # what it finds is remembered for a few seconds
    raise AssertionError(answer.text)


async def call(serving: TeamServer, headers: dict[str, str], tool: str, **arguments: Any) -> Any:
    """Call a tool; returns the structured content of its result."""
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await serving.send("POST", "/mcp", body, headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]["structuredContent"]


async def test_the_command_of_the_app_serves_its_users_as_the_platform_starts_it(
    emulator: RunningEmulator, postgres: PostgresServer, tmp_path: Path
) -> None:
    users = emulator.state.users
    users.principals[CLIENT_ID] = ("secret-of-the-app", User("app", unreadable_volumes={VOLUME}))
    users.add(User("ann"), "anns-token")
    users.add(User("ben"), "bens-token")
    lakebase = emulator.state.lakebase.endpoints[ENDPOINT] = RealDatabase("127.0.0.1", server=postgres, user=CLIENT_ID)
    env = platform_environment(postgres, APP)
    ann, ben = forwarded("ann", "anns-token"), forwarded("ben", "bens-token")
    command = command_of_the_app()
    async with AsyncExitStack() as stack:
        # Two instances, as compute_min_instances says; requests go to either. The second starts when the first is
        # ready, because the password of a user of PostgreSQL is only the newest credential.
        one, two = [
            await ready(await stack.enter_async_context(team_server(emulator, tmp_path, command=command, **env)))
            for _ in range(2)
        ]
        answered = await call(one, ann, ASK, prompt="[[say hello from the app]]")
        continued = await call(two, ann, ASK, prompt="[[say again]]", conversation_id=answered["conversation_id"])
        strange = await call(two, ben, ASK, prompt="[[say mine]]", conversation_id=answered["conversation_id"])
        drawn = await call(one, ann, "generate_image", prompt="A red fox")
        nobody = await two.send("POST", "/mcp", {}, {**ann, "X-Forwarded-Access-Token": ""})
    assert (answered["text"], continued["text"]) == ("hello from the app", "again")
    assert strange["error"]["code"] == "not_found"
    assert nobody.status_code == 403
    (picture,) = drawn["images"]
    (path,) = emulator.state.volumes[VOLUME].files
    assert path.endswith(picture["uri"].partition("://")[2])
    # The app's identity signs in to the database, and does nothing for a user.
    assert lakebase.issued
    by_app = {exchange.path for exchange in emulator.state.request_log.exchanges if exchange.user == "app"}
    assert by_app == {"/api/2.0/postgres/credentials", "/oidc/v1/token"}
    with psycopg.connect(postgres.url(DATABASE)) as admin:
        recorded = admin.execute("SELECT record::json ->> 'outcome' FROM databricks_responses_mcp.audit").fetchall()
    assert sorted(outcome for (outcome,) in recorded) == ["completed", "completed", "completed", "failed"]
    printed = "".join(one.printed + two.printed)
    assert not any(secret in printed for secret in (STATE_KEY, "anns-token", *lakebase.issued))


@pytest.mark.skipif(os.name == "nt", reason="the platform runs Linux")
async def test_the_app_says_what_is_wrong_if_a_resource_is_missing(
    emulator: RunningEmulator, postgres: PostgresServer, tmp_path: Path
) -> None:
    env = platform_environment(postgres, tmp_path / "nowhere")
    with pytest.raises(ExceptionGroup, match="unhandled") as failed:
        async with team_server(emulator, tmp_path, command=command_of_the_app(), **env):
            pass
    (problem,) = failed.value.exceptions
    assert "policy.toml" in str(problem)
