"""The doctor's checks of hosts: where the server is registered, and whether the registered commands run."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from databricks_responses_mcp import __version__
from databricks_responses_mcp.cli.advice import doctor_words
from databricks_responses_mcp.cli.findings import Finding
from databricks_responses_mcp.cli.launch_command import installed_from, is_unreleased_name, own_command, profiles
from databricks_responses_mcp.cli.registration import files_of, registrations
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.config_file import read_config
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registration import (
    RegisteredServer,
    find_referenced_variables,
    find_server_argument,
    find_undefined_inputs,
)
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import PORTABLE, RELEASED, SERVER, Launch
from databricks_responses_mcp.hosts.start_errors import last_start_error
from databricks_responses_mcp.workspace.profiles import read_profile

_START_SECONDS = 20.0
_MAX_OUTPUT = 100_000
"""In bytes."""

_FROM_DESKTOP = ", where a program of the desktop does not find it"
_SYSTEM = ("HOME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH")
_WORKSPACE_OPTIONS = frozenset({"--embedded", "--host", "--profile"})
_WORKSPACE_VARIABLES = frozenset({"DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE"})
_MAX_REASON_CHARACTERS = 200
_VERSION = re.compile(r"version (\S+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A registration in a host's file.

    Attributes:
        shared: whether it is in a project's file, which somebody else may have written.
    """

    file: Path
    server: RegisteredServer
    shared: bool


async def examine_hosts(machine: Machine, project: Path) -> list[Finding]:
    """Return one finding for each host that the server is registered with, and one for all other hosts in use.

    A host that is not installed, or has no registration, is not a failure.
    """
    looked = await anyio.to_thread.run_sync(partial(_look, machine, project))
    findings: dict[str, Finding] = {}

    async def examine(host: Host, places: list[Place]) -> None:
        findings[host.key] = await _examine(host, places, machine, project)

    async with anyio.create_task_group() as tasks:
        for host, places, _ in looked:
            if places:
                tasks.start_soon(examine, host, places)
    result = [findings[host.key] for host, *_ in looked if host.key in findings]
    result += [
        Finding(f"in {host.title}", "skipped", error.message, error.full_hint(doctor_words))
        for host, places, error in looked
        if error is not None and not places
    ]
    unused = [host for host, places, error in looked if not places and error is None]
    if unused:
        titles = ", ".join(host.title for host in unused)
        keys = " ".join(host.key for host in unused)
        result.append(
            Finding(
                "hosts", "skipped", f"not registered with {titles}", f"`{SERVER.distribution} install {keys}` does it."
            )
        )
    return result


def _look(machine: Machine, project: Path) -> list[tuple[Host, list[Place], BridgeError | None]]:
    """Return the hosts in use, the registrations of each, and why a file of theirs cannot be read."""
    looked: list[tuple[Host, list[Place], BridgeError | None]] = []
    for host in HOSTS:
        places: list[Place] = []
        failed: BridgeError | None = None
        for file, shared in files_of(host, machine, project):
            try:
                within = project if shared else None
                places += [Place(file, server, shared) for server in registrations(host, file, within=within)]
            except BridgeError as error:
                failed = error
        if host.is_used(machine) or (places and host.is_present(machine)):
            looked.append((host, places, failed))
    return looked


async def _examine(host: Host, places: list[Place], machine: Machine, project: Path) -> Finding:
    details: list[str] = []
    hints: list[str] = []
    failure: BridgeError | None = None
    for place in places:
        launch = place.server.launch
        assert launch is not None
        where = f"registered as {place.server.name} in {place.file}"
        try:
            runs, hint = await _try(host, place, launch, machine)
        except BridgeError as error:
            failure = failure or error
            details.append(f"{where}: {error.message.rstrip('.')}")
            hints.append(error.full_hint(doctor_words))
            continue
        details.append(f"{where}; {runs}")
        hints += [hint] if hint else []
    for name in dict.fromkeys(place.server.name for place in places):
        said = await anyio.to_thread.run_sync(partial(last_start_error, host.key, machine, name, project))
        details += [f"its log of the last start: {said[:_MAX_REASON_CHARACTERS]}"] if said else []
    return Finding(
        f"in {host.title}",
        "failed" if failure is not None else "ok",
        "; ".join(details),
        " ".join(dict.fromkeys(hints)),
        failure.code if failure is not None else None,
    )


async def _try(host: Host, place: Place, launch: Launch, machine: Machine) -> tuple[str, str]:
    """Return a description of the registered command, and advice if something can be improved.

    Raises:
        BridgeError: it cannot be started, or cannot sign in with its configuration.
    """
    await anyio.to_thread.run_sync(partial(_check_references, host, place, launch, machine))
    if "${" in launch.command:
        return f"starts {launch.command}, which only {host.title} can resolve", ""
    again = f"`{SERVER.distribution} install {host.key}{' --project' if place.shared else ''}`"
    if is_unreleased_name((launch.command, *launch.args), {**machine.environ, **launch.env}):
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"it has {launch.command} fetch {SERVER.distribution} from PyPI, where it is not yet: code of whoever "
            "registers that name would run.",
            f"{again} writes a command that is on this machine.",
        )
    found = await anyio.to_thread.run_sync(partial(machine.which, launch.command))
    if found is None:
        needed = "Install uv, which has uvx." if RELEASED else f"Install {SERVER.distribution} on this machine."
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"it starts {launch.command}, which is not there, or not on the PATH.",
            needed if place.shared else f"{again} writes a command that is.",
        )
    hint = ""
    if host.lacks_shell_path and not Path(launch.command).is_absolute():
        on_desktop = await anyio.to_thread.run_sync(partial(machine.which, launch.command, machine.desktop_path))
        if on_desktop is None and not place.shared:
            hint = (
                f"Started from the desktop, {host.title} may not find {launch.command}: {again} writes its whole path."
            )
    index = find_server_argument(launch)
    if index is None or (place.shared and not _is_trusted(launch, machine)):
        # A project's file is not trusted: only known programs that it names are run.
        return f"starts {found}, which was not tried", hint
    version = await _version(found, (*launch.args[:index], "--version"))
    if version != __version__:
        hint = hint or f"It is another version than this one, {__version__}; {again} registers this one."
    if not hint and not await anyio.to_thread.run_sync(partial(_names_workspace, host, place, launch, machine)):
        hint = (
            "The entry names no profile, no host and not --embedded, and "
            f"{host.title} finds no profile DEFAULT either: "
            + ("make one with `databricks auth login --profile DEFAULT`." if place.shared else f"{again} adds one.")
        )
    return f"starts {found}, version {version}", hint


def _names_workspace(host: Host, place: Place, launch: Launch, machine: Machine) -> bool:
    """Return whether the server finds a workspace when the host starts it from the entry. Reads files."""
    options = {argument.partition("=")[0] for argument in launch.args}
    if options & _WORKSPACE_OPTIONS:
        return True
    environ = {**_environment_of(host, machine), **launch.env}
    if any(environ.get(name) for name in _WORKSPACE_VARIABLES):
        return True
    if _WORKSPACE_VARIABLES & set(find_referenced_variables(place.server)):
        return True
    try:
        return "DEFAULT" in profiles(environ)
    except BridgeError:
        return False


def _environment_of(host: Host, machine: Machine) -> dict[str, str]:
    """Return the variables that a host sees: one of the desktop has none that were only exported in a shell."""
    if not host.lacks_shell_path:
        return dict(machine.environ)
    known = {*_SYSTEM, *machine.desktop_variables()}
    return {name: value for name, value in machine.environ.items() if name in known}


def _check_references(host: Host, place: Place, launch: Launch, machine: Machine) -> None:
    """Check that the variables and inputs of an entry exist where the host looks for them. Reads files.

    Raises:
        BridgeError: ``not_configured``, naming the first that the host does not find.
    """
    of_desktop = machine.desktop_variables() if host.lacks_shell_path else frozenset(machine.environ)
    again = f"`{SERVER.distribution} install {host.key}`"
    for variable in find_referenced_variables(place.server) if host.variable_source == "environment" else ():
        if variable in of_desktop:
            continue
        shell = "it is set in this shell only" if machine.environ.get(variable) else "it is not set"
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"it reads {variable} from its environment, and {shell}{_FROM_DESKTOP if host.lacks_shell_path else ''}.",
            f"{again} offers a profile instead." if variable.startswith("DATABRICKS_") else f"Set {variable}.",
        )
    for question in find_undefined_inputs(host, read_config(place.file), place.server):
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"it refers to ${{input:{question}}}, and the file has no such question.",
            f"{again} writes the entry again.",
        )
    if profile := launch.env.get("DATABRICKS_CONFIG_PROFILE"):
        read_profile(profile, {**_environment_of(host, machine), **launch.env})


async def _version(program: Path, arguments: tuple[str, ...]) -> str:
    words = " ".join((str(program), *arguments))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
    try:
        with anyio.fail_after(_START_SECONDS):
            code, output = await _run([str(program), *arguments], environ)
    except TimeoutError:
        raise _cannot_start(f"`{words}` did not answer within {_START_SECONDS:.0f} s") from None
    except OSError as error:
        raise _cannot_start(f"`{words}` cannot be started: {error.strerror or type(error).__name__}") from error
    said = output.decode("utf-8", "replace").strip()
    told = _VERSION.search(said)
    if code != 0 or told is None:
        last = said.splitlines()[-1][:_MAX_REASON_CHARACTERS].rstrip(".") if said else "it printed nothing"
        how = f"failed with exit code {code}" if code else "printed no version"
        raise _cannot_start(f"`{words}` {how}: {last}")
    return told[1]


async def _run(words: list[str], environ: Mapping[str, str]) -> tuple[int, bytes]:
    """Return exit code and output of a program; one that does not stop writing is ended."""
    output = b""
    async with await anyio.open_process(
        words, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=environ
    ) as process:
        assert process.stdout is not None
        async for chunk in process.stdout:
            output += chunk
            if len(output) > _MAX_OUTPUT:
                process.kill()
                break
        return await process.wait(), output
    raise AssertionError("unreachable")


def _cannot_start(message: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"{message}.",
        f"Run it yourself to see more, or register this installation again with `{SERVER.distribution} install`.",
    )


def _is_trusted(launch: Launch, machine: Machine) -> bool:
    words = (os.path.normcase(launch.command), *launch.args)  # paths of programs ignore case on Windows
    if words[: len(PORTABLE)] == PORTABLE:
        return True
    try:
        own = own_command(sys.argv[0], sys.prefix, sys.executable, machine.environ, source=installed_from())
    except BridgeError:  # this process runs in an environment that was created for one run
        return False
    return words[: len(own)] == (os.path.normcase(own[0]), *own[1:])
