"""A ready file for each host: what ``databricks-responses-mcp install HOST`` would write where there was none."""

from pathlib import Path, PurePosixPath

from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registration import register
from databricks_responses_mcp.hosts.registry import HOSTS
from generating.rendering import READY

_MACHINES = [Machine(platform, Path("~"), {}) for platform in ("linux", "darwin", "win32")]


def host_files() -> dict[str, bytes]:
    """The files, by host and name."""
    return {file_of(host): register(host, host.new_file, host.make_entry(READY)).encode() for host in HOSTS}


def file_of(host: Host) -> str:
    """Where a host's ready file is, from ``manifests/``; it has the name that the host looks for."""
    name = PurePosixPath(host.project_file).name if host.project_file else host.user_files(_MACHINES[0])[0].name
    return f"{host.key}/{name}"


def user_files(host: Host) -> list[str]:
    """Where it goes for a user: on Linux, and where they differ on macOS and Windows."""
    return list(dict.fromkeys(host.user_files(machine)[0].as_posix() for machine in _MACHINES))
