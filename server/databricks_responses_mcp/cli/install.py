"""``install``: registering the server with the hosts of this machine."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from databricks_responses_mcp.cli.advice import terminal_words
from databricks_responses_mcp.cli.errors import EXIT_CODES, tell
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.printing import note, prepare_streams, write_json, write_out
from databricks_responses_mcp.cli.tables import aligned
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registry import HOSTS, find_host
from databricks_responses_mcp.hosts.server_info import PORTABLE, RELEASED, SERVER
from databricks_responses_mcp.spelling import similar_names
from databricks_responses_mcp.visible import visible

_KEYS = [host.key for host in HOSTS]
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")

_HELP = f"""\
Register this server with MCP hosts by editing the hosts' own configuration files. Everything else in a file is
unchanged, and a backup is kept beside it. Without HOST, list the hosts on this machine and where the server is
registered.

HOST: {", ".join(_KEYS)}.

\b
  databricks-responses-mcp install
  databricks-responses-mcp install claude-code cursor --profile dev
  databricks-responses-mcp install vscode --embedded
  databricks-responses-mcp install codex --project --print

The server signs in with a profile of ~/.databrickscfg, so no secret is written. A project's file gets the command
`{" ".join(PORTABLE)}`, which works on every machine that has {"uv" if RELEASED else "it installed"},
and never a secret.
"""


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option(
    "--project", is_flag=False, flag_value=".", metavar="[DIR]", help="Use the project's file instead of the user's."
)
@click.option("--uninstall", is_flag=True, help="Remove the server.")
@click.option("--print", "printed", is_flag=True, help="Write nothing; print the entry.")
@click.option(
    "--name", default=SERVER.key, metavar="NAME", help=f"Name of the server in the host. Default: {SERVER.key}."
)
@click.option(
    "--profile",
    metavar="NAME",
    help="Profile to sign in with. Default: DATABRICKS_CONFIG_PROFILE, DEFAULT or the only one.",
)
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="If needed, create a profile from DATABRICKS_HOST and DATABRICKS_TOKEN without asking.",
)
@click.option("--token-in-file", is_flag=True, help="Write DATABRICKS_TOKEN into the user's file instead.")
@click.option("--embedded", is_flag=True, help="Use the embedded workspace: no account, no key.")
@click.option("--engine", metavar="local|rules|URL", help="Engine of the embedded workspace.")
@click.option("--model", metavar="NAME", help="Serving endpoint to use when a call does not name one.")
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Environment variable for the server; without a value, the host reads it from its environment.",
)
@click.option("--command", "own", metavar="TEXT", help="Command to start instead, as one string with its arguments.")
@click.option("--force", is_flag=True, help="Replace another program's server of the same name.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(hosts: tuple[str, ...], project: str | None, as_json: bool, **given: Any) -> int:
    """List hosts, or register with them; the exit code is the one of the first failure."""
    prepare_streams()
    machine = Machine.this()
    if project in _KEYS and not Path(project).is_dir():
        hosts, project = (project, *hosts), "."  # `--project HOST`
    folder = _folder(project) if project is not None else None
    chosen = _chosen(hosts)
    _check(given, chosen=bool(chosen), project=folder is not None)
    if not chosen:
        _list(machine, folder or Path.cwd(), as_json=as_json)
        return 0
    return _do(chosen, machine, folder, as_json=as_json, **given)


def _do(hosts: list[Host], machine: Machine, project: Path | None, *, as_json: bool, **given: Any) -> int:
    from databricks_responses_mcp.cli.registration import Order, install, preview, uninstall

    order = (
        Order(name=given["name"], project=project, force=given["force"])
        if given["uninstall"]
        else _order(hosts, machine, project, **given)
    )
    results: list[dict[str, Any]] = []
    code = 0
    for host in hosts:
        try:
            if given["printed"]:
                file, text = preview(host, machine, order)
                note(f"{host.title}: this would be the content of {file}")
                write_out(text if text.endswith("\n") else f"{text}\n")
                continue
            done = (uninstall if given["uninstall"] else install)(host, machine, order)
        except BridgeError as error:
            code = code or EXIT_CODES[error.code]
            results.append({"host": host.key, "action": "failed", "error": error.as_dict(terminal_words)})
            if not as_json:
                tell(error)
            continue
        results.append(done.as_dict())
        if not as_json:
            write_out("".join(f"{visible(line)}\n" for line in _told(done, order, here=host.is_present(machine))))
    if as_json and not given["printed"]:
        write_json({"ok": code == 0, "hosts": results})
    return code


def _order(hosts: list[Host], machine: Machine, project: Path | None, **given: Any) -> Any:
    from databricks_responses_mcp.cli import launch_command
    from databricks_responses_mcp.cli.registration import Order

    env, forwarded = launch_command.parse_variables(given["variables"])
    if given["model"]:
        env["RESPONSES_MCP_MODEL"] = given["model"]
    arguments: tuple[str, ...] = ()
    if given["embedded"]:
        arguments = ("--embedded", *(("--engine", given["engine"]) if given["engine"] else ()))
        sign_in = launch_command.SignIn(words="nowhere: its workspace is on this machine")
    elif given["token_in_file"]:
        sign_in = launch_command.sign_in_by_token(os.environ)
    elif given["profile"]:
        sign_in = _named_profile(given["profile"], yes=given["yes"], printed=given["printed"])
    elif project is not None:
        sign_in = launch_command.shared_sign_in(os.environ)
    else:
        sign_in = launch_command.default_sign_in(os.environ)
        if sign_in.forwarded and any(_wants_profile(host, machine, sign_in.forwarded) for host in hosts):
            sign_in = _prefer_profile(sign_in, yes=given["yes"], printed=given["printed"])
    command = portable = PORTABLE
    if given["own"]:
        portable = launch_command.given_command(given["own"], os.environ, absolute=False)
        command = launch_command.given_command(given["own"], os.environ, absolute=True)
    elif project is None:
        command = launch_command.own_command(
            sys.argv[0], sys.prefix, sys.executable, os.environ, source=launch_command.installed_from()
        )
    return Order(
        name=given["name"],
        command=(*command, *arguments),
        portable=(*portable, *arguments),
        sign_in=sign_in,
        env=env,
        forwarded=forwarded,
        project=project,
        force=given["force"] or bool(given["own"]),
    )


def _wants_profile(host: Host, machine: Machine, variables: tuple[str, ...]) -> bool:
    """Return whether a host would not find variables that are set in this shell."""
    return not host.resolves_variables or (
        host.needs_desktop_variables and not machine.desktop_variables() >= set(variables)
    )


def _prefer_profile(sign_in: Any, *, yes: bool, printed: bool) -> Any:
    """Return a sign-in by a profile with the values of the variables, created if the user agrees; else the
    given one.
    """
    from databricks_responses_mcp.cli import new_profile
    from databricks_responses_mcp.cli.launch_command import SignIn, sign_in_by_profile

    values = new_profile.profile_values(sign_in.forwarded[0], os.environ)
    if name := new_profile.matching_profile(values, os.environ):
        return sign_in_by_profile(name, os.environ)
    name = new_profile.new_name(os.environ)
    if printed:
        return SignIn({"DATABRICKS_CONFIG_PROFILE": name}) if yes else sign_in
    why = f"{sign_in.forwarded[0]} is set in this shell only, where a host of the desktop does not find it."
    if not yes and not _confirms(name, why):
        return sign_in
    return new_profile.write_profile(name, values, os.environ)


def _named_profile(name: str, *, yes: bool, printed: bool) -> Any:
    """Return the sign-in by the named profile; if it does not exist, it is created if the user agrees.

    Raises:
        BridgeError: ``not_configured``, if there is no such profile and nothing to create it from; ``invalid_argument``
            for an invalid name.
    """
    from databricks_responses_mcp.cli import new_profile
    from databricks_responses_mcp.cli.launch_command import SignIn, secret_variable, sign_in_by_profile

    variable = secret_variable(os.environ)
    if variable is None or name in new_profile.names_in_use(os.environ):
        return sign_in_by_profile(name, os.environ)
    new_profile.check_name(name)
    values = new_profile.profile_values(variable, os.environ)
    if printed and yes:
        return SignIn({"DATABRICKS_CONFIG_PROFILE": name})
    if printed or not (yes or _confirms(name, f"There is no profile {name}, and {variable} is set.")):
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"There is no profile {name}.",
            f"Name another profile, or add --yes to create this one from {variable}.",
        )
    return new_profile.write_profile(name, values, os.environ)


def _confirms(name: str, why: str) -> bool:
    """Ask at the terminal whether to create a profile from the variables; without a terminal the answer is no."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()):
        return False
    note(why)
    return click.confirm(f"Make the profile {name} of it in ~/.databrickscfg, readable by you alone?", err=True)


def _told(done: Any, order: Any, *, here: bool) -> Iterator[str]:
    host = done.host
    emptied = ", which had no other content and was deleted" if done.deleted else ""
    words = {
        "registered": f"registered as {done.name} in {done.file}",
        "updated": f"changed in {done.file}",
        "unchanged": f"already registered in {done.file}, nothing changed",
        "removed": f"removed from {done.file}{emptied}",
        "absent": f"not registered in {done.file}, nothing changed",
    }
    yield f"{host.title}: {words[done.action]}"
    if done.action in ("registered", "updated"):
        yield f"  Starts: {' '.join((done.launch.command, *done.launch.args))}"
        yield f"  Signs in: {order.sign_in.words}"
    if done.profile:
        yield f"  Its profile {done.profile} stays in ~/.databrickscfg, as others may use it; delete it there."
    if done.backup is not None:
        yield f"  Backup: {done.backup}"
    if done.next:
        yield f"  Next: {done.next}"
        if not here:
            yield f"  {host.title} was not found on this machine; its file was created anyway."


def _list(machine: Machine, project: Path, *, as_json: bool) -> None:
    from databricks_responses_mcp.cli.registration import files_of, registrations

    found: list[dict[str, Any]] = []
    for host in HOSTS:
        places: list[dict[str, str]] = []
        facts: dict[str, Any] = {"host": host.key, "title": host.title, "present": host.is_present(machine)}
        for file, shared in files_of(host, machine, project):
            scope = "project" if shared else "user"
            try:
                places += [
                    {"scope": scope, "name": server.name, "file": str(file)}
                    for server in registrations(host, file, within=project if shared else None)
                ]
            except BridgeError as error:
                facts["error"] = error.as_dict(terminal_words)
        found.append({**facts, "registered": places})
    if as_json:
        write_json({"hosts": found})
        return
    rows = [("HOST", "NAME", "PRESENT", "REGISTERED")]
    for facts in found:
        where = ", ".join(f"{place['scope']}: {place['file']}" for place in facts["registered"])
        if "error" in facts:
            where = where or facts["error"]["message"]
        rows.append((facts["host"], facts["title"], "yes" if facts["present"] else "no", where or "-"))
    write_out(aligned([[visible(cell) for cell in row] for row in rows]))


def _chosen(keys: tuple[str, ...]) -> list[Host]:
    chosen: list[Host] = []
    for key in dict.fromkeys(keys):
        host = find_host(key.lower())
        if host is None:
            near = similar_names(key.lower(), _KEYS)
            raise click.UsageError(
                f"There is no host {key!r} here. " + (f"Did you mean {near[0]}? " if near else "") + _known()
            )
        chosen.append(host)
    return chosen


def _known() -> str:
    return f"There are: {', '.join(_KEYS)}."


def _folder(text: str) -> Path:
    folder = Path(text).absolute()
    if not folder.is_dir():
        raise click.BadParameter(f"{text!r} is not a folder.", param_hint="--project")
    return folder


def _check(given: dict[str, Any], *, chosen: bool, project: bool) -> None:
    """Refuse options that contradict each other."""
    rules: list[tuple[Callable[[], object], str]] = [
        (lambda: given["engine"] and not given["embedded"], "--engine goes with --embedded."),
        (
            lambda: sum(bool(given[key]) for key in ("profile", "token_in_file", "embedded")) > 1,
            "--profile, --token-in-file and --embedded are three ways to sign in; choose one.",
        ),
        (lambda: given["token_in_file"] and project, "--token-in-file is for a user's file: a project's is shared."),
        (lambda: given["printed"] and given["uninstall"], "--print shows an entry; --uninstall has none."),
        (
            lambda: not chosen and (given["uninstall"] or given["printed"]),
            "Name the hosts; without --uninstall and --print they are listed.",
        ),
        (
            lambda: not given["name"] or not set(given["name"]) <= _NAME_CHARACTERS or len(given["name"]) > 64,
            "--name accepts letters, digits, hyphens and underscores, which every host can show.",
        ),
    ]
    for wrong, message in rules:
        if wrong():
            raise click.UsageError(message)
