"""The generated parts of the documentation that describe hosts."""

from dataclasses import fields
from pathlib import Path, PurePosixPath

from databricks_responses_mcp.calls.tool_call import patience_with
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.limits import HOST_LIMITS, UNKNOWN_HOST, HostLimits
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registration import register
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import PORTABLE, RELEASED, SERVER, ready_launch

ROOT = Path(__file__).parents[2]
READY = ready_launch()
"""What the ready files start; a test compares them with these pages."""

_MACHINES = {
    name: Machine(platform, Path("~"), {})
    for name, platform in (("Linux", "linux"), ("macOS", "darwin"), ("Windows", "win32"))
}
_SHOWS = {
    "content": "text and images",
    "structured": "only the structured result, with the complete text and the path of an image",
    "structured and images": "the structured result, with the complete text, and images",
}


def ready_file(host: Host) -> str:
    """What `install --project` would write where there was no file."""
    return register(host, host.new_file, host.make_entry(READY))


def manifest_of(host: Host) -> Path:
    """The ready file in ``manifests/``, which has the name that the host looks for."""
    name = PurePosixPath(host.project_file or host.user_files(_MACHINES["Linux"])[0].as_posix()).name
    return ROOT / "manifests" / host.key / name


def limits_by_key(key: str) -> HostLimits:
    """What is known of a host's limits."""
    return next(limits for limits in HOST_LIMITS if limits.key == key)


def real_test(host: Host) -> Path | None:
    """The test that drives the host's own program, if there is one."""
    path = ROOT / "tests" / "real_hosts" / f"test_{host.key.replace('-', '_')}.py"
    return path if path.exists() else None


def hosts_table() -> str:
    """All hosts, a row each."""
    rows = [
        "| host | in one step | by hand | one click | timeout of a call | tested with |",
        "|---|---|---|---|---|---|",
    ]
    for host in HOSTS:
        manifest, link, test = manifest_of(host), host.make_install_link(READY) if RELEASED else None, real_test(host)
        rows.append(
            f"| [{host.title}]({host.key}.md) | `{SERVER.distribution} install {host.key}` "
            f"| [{manifest.name}](../../{manifest.relative_to(ROOT).as_posix()}) "
            f"| {f'[add it]({link.web})' if link is not None else ''} | {_call_time(limits_by_key(host.key))} "
            f"| {f'[its own program](../../{test.relative_to(ROOT).as_posix()})' if test else 'documentation'} |"
        )
    return "\n".join(rows)


def timeouts_table() -> str:
    """Return each host's timeout for a call, and the time after which the bridge hands the call over."""
    titles = {host.key: host.title for host in HOSTS}
    rows = ["| host | timeout of a call | handed over after | source |", "|---|---|---|---|"]
    rows += [_timeouts_row(titles.get(limits.key, limits.key), limits) for limits in HOST_LIMITS]
    return "\n".join([*rows, _timeouts_row("any other", UNKNOWN_HOST)])


def _timeouts_row(title: str, limits: HostLimits) -> str:
    given_up = "never" if limits.call_seconds is None else f"{limits.call_seconds:.0f} s"
    handed_over = f"{patience_with(limits, has_progress=False):.0f} s"
    if limits.progress_extends:
        given_up += " without progress"
        handed_over += f"; with progress {patience_with(limits, has_progress=True):.0f} s"
    return f"| {title} | {given_up} | {handed_over} | {limits.evidence} |"


def install_part(host: Host) -> str:
    """The command and its variants."""
    options = [f"`{SERVER.distribution} install {host.key} --uninstall` removes it"]
    if host.project_file is not None:
        options.append(f"`--project` writes the project's `{host.project_file}` instead")
    options.append("`--print` only shows the entry")
    parts = [
        f"```bash\n{SERVER.distribution} install {host.key}\n```",
        f"{'; '.join(options)}. Then: {_after(host)}",
        _about_secrets(host),
    ]
    if RELEASED and (link := host.make_install_link(READY)) is not None:
        parts.append(f"Or in one click: [add it to {host.title}]({link.web}) (started with `uvx`, profile `DEFAULT`).")
    if host.add_command:
        parts.append(f"Its own way to register a server is `{host.add_command}`.")
    return "\n\n".join(parts)


def file_part(host: Host) -> str:
    """Where the file is, and what stands in it."""
    rows = ["| where | file |", "|---|---|"]
    places = {name: host.user_files(machine) for name, machine in _MACHINES.items()}
    if len(set(places.values())) == 1:
        places = {"for you": places["Linux"]}
    rows += [f"| {name} | {' or '.join(f'`{file.as_posix()}`' for file in files)} |" for name, files in places.items()]
    if host.project_file is not None:
        rows.append(f"| in a project | `{host.project_file}` |")
    manifest = manifest_of(host).relative_to(ROOT).as_posix()
    more = (
        f"The same as a [ready file](../../{manifest}). {_portable_comes_from()}; `install` writes the path of the "
        "program that is installed instead."
    )
    return "\n\n".join(["\n".join(rows), f"```{host.format}\n{ready_file(host).rstrip()}\n```", more])


def portable_part() -> str:
    """What a project's file starts, for the page of the command line."""
    return f"The portable command is `{' '.join(PORTABLE)}`: {_portable_comes_from()}."


def _portable_comes_from() -> str:
    if RELEASED:
        return "`uvx` comes with [uv](https://docs.astral.sh/uv/)"
    return f"`{SERVER.distribution}` must be installed and on the host's PATH, as it is not on PyPI yet"


def limits_part(host: Host) -> str:
    """What the host takes, and what its model sees."""
    limits = limits_by_key(host.key)
    rows = ["| limit | value |", "|---|---|", f"| timeout of a tool call | {_call_time(limits)} |"]
    rows.append(f"| the bridge hands a call over after | {_hand_over(limits)} |")
    if limits.result_bytes is not None:
        rows.append(f"| size of a result | {limits.result_bytes:,} bytes |")
    rows.append(f"| its model sees | {_SHOWS[limits.shows]} |")
    rows += [
        f"| its model sees at most | {getattr(limits, field.name):,} {field.name.removeprefix('shown_')} |"
        for field in fields(limits)
        if field.name.startswith("shown_") and getattr(limits, field.name) is not None
    ]
    rows.append(f"| source | {limits.evidence} |")
    return "\n".join(rows)


def _call_time(limits: HostLimits) -> str:
    if limits.call_seconds is None:
        return "none"
    more = ", restarted by each progress report" if limits.progress_extends else ""
    guess = " (assumed)" if limits.evidence == HostLimits(key="", client_names=()).evidence else ""
    return f"{limits.call_seconds:g} s{more}{guess}"


def _hand_over(limits: HostLimits) -> str:
    with_progress, without = (patience_with(limits, has_progress=has) for has in (True, False))
    if with_progress == without:
        return f"{without:g} s"
    return f"{with_progress:g} s; {without:g} s without progress reports"


def _after(host: Host) -> str:
    if not host.next_step_in_project:
        return host.next_step
    return (
        f"{host.next_step} For a project's file: {host.next_step_in_project[0].lower()}{host.next_step_in_project[1:]}"
    )


def _about_secrets(host: Host) -> str:
    if host.needs_desktop_variables:
        return (
            "It signs in with a profile of `~/.databrickscfg`. A token that is only exported in a shell does not work: "
            f"{host.title} is started from the desktop and does not have it. `install` offers to create a profile "
            "from it (`--yes` for scripts)."
        )
    if host.resolves_variables:
        return (
            "It signs in with a profile of `~/.databrickscfg`. Without one, but with `DATABRICKS_HOST` and "
            f"`DATABRICKS_TOKEN` set, the entry refers to the environment, and {host.title} reads the token from there."
        )
    return (
        "It signs in with a profile of `~/.databrickscfg`. A token in the environment does not work, because it is not "
        f"documented whether {host.title} passes variables on. `install` offers to create a profile from it (`--yes` "
        "for scripts), or takes `--token-in-file`."
    )
