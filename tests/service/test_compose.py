"""The files for Docker: what compose understands, and the same services run without containers."""

import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import yaml
from mcp import Client

from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.workspace.settings import SERVICE_PREFIX, settings_help
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS
from harness.foreign_server import free_port
from harness.name_server import name_server
from harness.nginx import nginx, nginx_by_name
from harness.pip_environments import pip_environment
from harness.postgres_server import postgres_server
from harness.replica import start_replica
from harness.stdio_process import ASK, COMMAND, environment
from harness.team_service import TeamServer, bearer, keys_in, team_server

pytestmark = pytest.mark.anyio

DOCKER = Path(__file__).parents[2] / "manifests" / "docker"
COMPOSE = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE_SPEC = "compose-spec==0.2.1"
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


def filled_in(part: Any, values: dict[str, str]) -> Any:
    """Return a part of the file with its variables filled in, as compose does: after it was parsed."""
    if isinstance(part, dict):
        return {key: filled_in(item, values) for key, item in part.items()}
    if isinstance(part, list):
        return [filled_in(item, values) for item in part]

    def fill(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if value := values.get(name):
            return value
        if kind != "-":
            raise KeyError(f"{name}: {rest}")
        return rest or ""

    return VARIABLE.sub(fill, part) if isinstance(part, str) else part


def examples() -> dict[str, str]:
    """Return the variables of .env.example."""
    lines = (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))  # type: ignore[misc]


def test_every_variable_is_in_the_example_and_no_secret_has_a_default() -> None:
    used = {name: (kind, rest) for name, kind, rest in VARIABLE.findall(COMPOSE)}
    assert set(examples()) == used.keys() - {"PORT", "PICTURES"}
    assert set(examples().values()) == {""}
    needed = {name for name, (kind, _) in used.items() if kind == "?"}
    assert needed == {"DATABRICKS_HOST", "DATABASE_PASSWORD", "PUBLIC_URL", "STATE_KEYS"}
    for name, (kind, rest) in used.items():
        assert not rest or kind == "?" or name in ("PORT", "PICTURES")
    with pytest.raises(KeyError, match="STATE_KEYS"):
        filled_in(yaml.safe_load(COMPOSE), {**dict.fromkeys(needed, "x"), "STATE_KEYS": ""})


def test_the_services_wait_for_each_other_and_may_do_no_more_than_they_need() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    image = (DOCKER.parents[1] / "Dockerfile").read_text(encoding="utf-8")
    checked = {name for name, service in services.items() if "healthcheck" in service} | {"replica"}
    assert "HEALTHCHECK" in image
    for name, service in services.items():
        for other, condition in service.get("depends_on", {}).items():
            assert (name, condition["condition"], other in checked) == (name, "service_healthy", True)
    replica = services["replica"]
    assert (replica["deploy"]["replicas"], replica["read_only"], replica["cap_drop"]) == (2, True, ["ALL"])
    writable = [volume.split(":") for volume in replica["volumes"] if not volume.endswith(":ro")]
    assert writable == [["data", "/data"]]
    # Only the proxy is published, and only on this machine.
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["proxy"]["ports"] == ["127.0.0.1:${PORT:-8080}:8080"]
    port = replica["command"][-1].rpartition(":")[2]
    balancing = (DOCKER / "nginx.conf").read_text(encoding="utf-8")
    assert f"server replica:{port} resolve;" in balancing
    assert f"EXPOSE {port}\n" in image
    known = {doc.env for doc in [*settings_help(), *settings_help(ServiceSettings, SERVICE_PREFIX)]}
    assert {name for name in replica["environment"] if name.startswith("RESPONSES_MCP_")} <= known


@pytest.mark.service
def test_the_compose_specification_takes_the_file() -> None:
    python = pip_environment(COMPOSE_SPEC) / "python"

    def parse(compose: Any) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-c", "import sys, compose_spec; compose_spec.PyCompose.from_yaml(sys.stdin.read())"]
        text = yaml.safe_dump(compose)
        return subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=LONG_DEADLINE_SECONDS, check=False
        )

    compose = filled_in(yaml.safe_load(COMPOSE), dict.fromkeys(examples(), "value"))
    taken = parse(compose)
    assert (taken.returncode, taken.stderr) == (0, "")
    for wrong in ({"depends": {}}, {"healthcheck": {"every": "5s"}}):
        assert parse({**compose, "services": {"replica": {**compose["services"]["replica"], **wrong}}}).returncode != 0


@pytest.mark.service
async def test_two_replicas_behind_the_proxy_serve_with_the_environment_of_the_file(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    port = free_port()
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        database = postgres.new_database().rpartition("/")[2]
        values = {
            "DATABRICKS_HOST": emulator.host,
            "DATABRICKS_TOKEN": emulator.token,
            "DATABASE_PASSWORD": "no+secret@all",
            "PUBLIC_URL": f"http://127.0.0.1:{port}/mcp",
            "KEYS_FILE": str(tmp_path / "keys"),
            "STATE_KEYS": "0123456789abcdef0123456789abcdef",
            "PICTURES": str(tmp_path / "pictures"),
        }
        configured = filled_in(yaml.safe_load(COMPOSE), values)["services"]["replica"]["environment"]
        store = f"postgresql://postgres@127.0.0.1:{postgres.port}/{database}"
        assert configured["RESPONSES_MCP_STORE"] == "postgresql://bridge@database:5432/bridge"
        environ = environment(emulator, tmp_path) | configured | {"RESPONSES_MCP_STORE": store}
        replicas = []
        for number in range(2):
            folder = tmp_path / f"replica-{number}"
            replicas.append(await anyio.to_thread.run_sync(start_replica, folder, environ))
            stack.callback(replicas[-1].end)
        front = stack.enter_context(nginx(tmp_path / "nginx", port, [one.port for one in replicas]))
        proxy = TeamServer(replicas[0].process, front.origin)  # type: ignore[arg-type] - only its address is used
        async with Client(proxy.transport(bearer(keys["ada"]))) as client:
            host = Host(client)
            _, begun, failed = await host.call(ASK, prompt="[[say one]]")
            assert not failed
            _, drawn, failed = await host.call("generate_image", prompt="A red fox")
            assert not failed
            for text in ("two", "three"):
                _, facts, _ = await host.call(ASK, prompt=f"[[say {text}]]", conversation_id=begun["conversation_id"])
                assert facts["text"] == text
            replicas[1].process.kill()
            (read,) = (await client.read_resource(drawn["images"][0]["uri"])).contents
            assert read.mime_type == "image/png"
        async with Client(proxy.transport(bearer(keys["bob"]))) as client:
            _, facts, _ = await Host(client).call(ASK, prompt="x", conversation_id=begun["conversation_id"])
            assert facts["error"]["code"] == "not_found"


@pytest.mark.service
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
async def test_the_proxy_finds_replicas_that_are_added_and_removed_by_their_name(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada")
    port, replica_port = free_port(), free_port()
    addresses = ["127.0.0.21", "127.0.0.22"]
    env = {"RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"), "RESPONSES_MCP_LOG_LEVEL": "INFO"}
    listening = [("--http", f"{address}:{replica_port}") for address in addresses]
    async with (
        name_server("replica", addresses[0]) as names,
        team_server(emulator, tmp_path, *listening[0], **env) as first,
    ):
        with nginx_by_name(tmp_path / "nginx", port, replica_port, names.port) as front:
            proxy = TeamServer(first.process, front.origin)

            async def ask_until(said: str, serving: TeamServer) -> None:
                """Ask until this replica has answered."""
                for number in range(int(DEADLINE_SECONDS)):
                    async with Client(proxy.transport(bearer(keys["ada"]))) as client:
                        _, facts, failed = await Host(client).call(ASK, prompt=f"[[say {said}{number}]]")
                        assert (failed, facts.get("text")) == (False, f"{said}{number}")
                    if "call_id" in "".join(serving.printed):
                        return
                    await anyio.sleep(0.5)  # names are kept for a second
                raise AssertionError("".join(serving.printed))

            await ask_until("one", first)
            async with team_server(emulator, tmp_path, *listening[1], **env) as second:
                names.addresses = addresses
                await ask_until("two", second)
                # The first leaves: its name goes, then the process; no request fails meanwhile.
                names.addresses = addresses[1:]
                first.process.terminate()
                await first.process.wait()
                asked = names.asked
                with anyio.fail_after(DEADLINE_SECONDS):
                    while names.asked == asked:  # noqa: ASYNC110 - nginx asks again when the time of the name ends
                        await anyio.sleep(0.1)
                for number in range(5):
                    async with Client(proxy.transport(bearer(keys["ada"]))) as client:
                        _, facts, failed = await Host(client).call(ASK, prompt=f"[[say three{number}]]")
                        assert (failed, facts["text"]) == (False, f"three{number}")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the image is Linux")
async def test_the_images_health_check_asks_a_service_and_leaves_stdio_alone(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    def probe(*arguments: str) -> int:
        file = tmp_path / "cmdline"
        file.write_bytes("\0".join(arguments).encode())
        command = [sys.executable, "-m", "databricks_responses_mcp.service.probe", str(file)]
        return subprocess.run(command, check=False, timeout=LONG_DEADLINE_SECONDS).returncode

    keys_in(tmp_path / "keys", "ada")
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:
        address = serving.origin.removeprefix("http://")
        codes = [
            await anyio.to_thread.run_sync(probe, *COMMAND, "serve", *option)
            for option in (
                ("--http", address),
                (f"--http={address}",),
                ("--http", f"0.0.0.0:{address.partition(':')[2]}"),
            )
        ]
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        hung = probe("serve", "--http", f"127.0.0.1:{silent.getsockname()[1]}")
    ended = probe("serve", "--http", address)
    over_stdio = [probe(*COMMAND), probe(*COMMAND, "serve"), probe("sh")]
    assert (codes, hung, ended, over_stdio) == ([0, 0, 0], 1, 1, [0, 0, 0])


@pytest.mark.slow
async def test_a_service_needs_no_folder_but_that_of_its_data(emulator: RunningEmulator, tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys", "ada")
    image = (DOCKER.parents[1] / "Dockerfile").read_text(encoding="utf-8")
    assert "XDG_DATA_HOME=/data" in image
    assert "RESPONSES_MCP_IMAGE_DIR=/data/pictures" in image
    env = {
        "HOME": "/dev/null/home",  # whoever writes there fails, root too
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "RESPONSES_MCP_IMAGE_DIR": str(tmp_path / "data" / "pictures"),
        "RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"),
    }
    async with (
        team_server(emulator, tmp_path, **env) as serving,
        Client(serving.transport(bearer(keys["ada"]))) as client,
    ):
        _, answered, _ = await Host(client).call(ASK, prompt="[[say hi]]")
        _, drawn, failed = await Host(client).call("generate_image", prompt="A red fox")
    assert (answered["text"], failed, len(drawn["images"])) == ("hi", False, 1)
    assert {path.name for path in tmp_path.iterdir()} == {"keys", "data"}
