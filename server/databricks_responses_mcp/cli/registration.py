"""Registering the server with one host: what is written, refused and reported."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from databricks_responses_mcp.cli.launch_command import SignIn, secret_variables, secret_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.config_file import delete_config, list_backups, read_config, write_config
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registration import (
    RegisteredServer,
    is_empty_config,
    list_servers,
    merge_entry,
    register,
    unregister,
)
from databricks_responses_mcp.hosts.server_info import PORTABLE, SERVER, Launch

_GIT_SECONDS = 10
# Settings of a repository with which git would run programs while it reads the index; these override them.
_HARMLESS_GIT = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.pager=cat")
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The entry to register, with any host.

    Attributes:
        name: the name of the entry.
        command: the program and its arguments, for a user's file.
        portable: the same for a project's file, which others also use.
        sign_in: how the server signs in.
        env: additional variables.
        forwarded: additional variables that the host fetches itself.
        project: the project whose file is written; None for the user's.
        force: whether to replace another program's entry with that name.
    """

    name: str = SERVER.key
    command: tuple[str, ...] = PORTABLE
    portable: tuple[str, ...] = PORTABLE
    sign_in: SignIn = field(default_factory=SignIn)
    env: Mapping[str, str] = field(default_factory=dict)
    forwarded: tuple[str, ...] = ()
    project: Path | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The result for one host.

    Attributes:
        action: the change of the file.
        file: the host's file.
        shared: whether it is a project's file.
        backup: the backup of the earlier file; None if there is none.
        deleted: whether the file was deleted, because it had no other content.
        profile: the profile that `install` created for the entry; it is kept, as others may use it.
        launch: what the host starts now; None for nothing.
    """

    host: Host
    action: str
    file: Path
    name: str
    shared: bool = False
    backup: Path | None = None
    deleted: bool = False
    profile: str = ""
    launch: Launch | None = None

    @property
    def next(self) -> str | None:
        """What the host's user does next; None if nothing was registered."""
        if self.action not in ("registered", "updated"):
            return None
        return (self.shared and self.host.next_step_in_project) or self.host.next_step

    def as_dict(self) -> dict[str, Any]:
        """Return the result for machines; empty fields are left out."""
        facts: dict[str, Any] = {
            "host": self.host.key,
            "action": self.action,
            "file": str(self.file),
            "name": self.name,
            "backup": str(self.backup) if self.backup else None,
            "deleted": self.deleted or None,
            "profile": self.profile or None,
            "command": [self.launch.command, *self.launch.args] if self.launch else None,
            "next": self.next,
        }
        return {key: value for key, value in facts.items() if value is not None}


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Name the file in errors of reading and editing a text, which know only the place in the text.

    Errors of the file itself already name it: reading and writing stay outside.
    """
    try:
        yield
    except BridgeError as error:
        raise replace(error, message=f"{file}: {error.message}") from error


def file_of(host: Host, machine: Machine, project: Path | None) -> Path:
    """Return the file to write.

    Raises:
        BridgeError: ``invalid_argument``, if the host has no file for projects.
    """
    if project is None:
        return host.find_user_file(machine)
    path = host.project_path(project)
    if path is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{host.title} has no file for a project's servers.",
            "Leave --project out: its user's file serves every project.",
        )
    return path


def install(host: Host, machine: Machine, order: Order) -> Done:
    """Write the entry, unless it exists already.

    Raises:
        BridgeError: the file cannot be read or written, has another program's entry with that name, or must not contain
            a secret.
    """
    file = file_of(host, machine, order.project)
    new = _entry(host, machine, order)
    for attempt in range(_TRIES):
        # Read again for each attempt: some hosts write to their file continuously.
        text = read_config(file, within=order.project)
        old = _existing(host, text, file, order)
        entry = merge_entry(old.entry if old is not None and old.launch is not None else None, new)
        with naming(file):
            changed = register(host, text or host.new_file, entry, name=order.name, forwarded=_forwarded(order, host))
        if old is not None and old.entry == entry and changed == text:
            return Done(host=host, action="unchanged", file=file, name=order.name, launch=host.read_launch(entry))
        try:
            backup = write_config(file, changed, previous=text, within=order.project)
        except BridgeError as error:
            if not error.retryable or attempt == _TRIES - 1:
                raise
            continue
        action = "registered" if old is None else "updated"
        _hide_secrets(backup, old)
        # The first shows the file before any registration, the last one undoes this registration.
        _delete_backups(list_backups(file)[1:-1])
        return Done(
            host=host,
            action=action,
            file=file,
            name=order.name,
            shared=order.project is not None,
            backup=backup,
            launch=host.read_launch(entry),
        )
    raise AssertionError("unreachable")


def uninstall(host: Host, machine: Machine, order: Order) -> Done:
    """Remove the entry, if it exists.

    Raises:
        BridgeError: as `install`.
    """
    file = file_of(host, machine, order.project)
    text = read_config(file, within=order.project)
    old = _existing(host, text, file, order)
    if old is None:
        return Done(host=host, action="absent", file=file, name=order.name)
    earlier = list_backups(file)
    original = _original(host, earlier)
    with naming(file):
        changed = unregister(host, text, name=order.name, original=original)
    profile = old.launch.env.get("DATABRICKS_CONFIG_PROFILE", "") if old.launch is not None else ""
    made = profile if profile.startswith(SERVER.distribution) else ""
    done = Done(host=host, action="removed", file=file, name=order.name, profile=made)
    if original is None and is_empty_config(host, changed) and not file.is_symlink():
        delete_config(file, previous=text, keep=_folders_to_keep(machine, order.project), within=order.project)
        return replace(done, deleted=True)
    backup = write_config(file, changed, previous=text, within=order.project)
    _hide_secrets(backup, old)
    _delete_backups(earlier)
    return replace(done, backup=backup)


def preview(host: Host, machine: Machine, order: Order) -> tuple[Path, str]:
    """Return the file, and its content for the entry, as a separate document.

    Raises:
        BridgeError: as `install`.
    """
    file = file_of(host, machine, order.project)
    text = read_config(file, within=order.project)
    old = _existing(host, text, file, order)
    entry = merge_entry(old.entry if old is not None and old.launch is not None else None, _entry(host, machine, order))
    return file, register(
        host, host.new_file if not text else "", entry, name=order.name, forwarded=_forwarded(order, host)
    )


def files_of(host: Host, machine: Machine, project: Path) -> list[tuple[Path, bool]]:
    """Return the files that a host reads in a project: its user's, and the project's, which is shared."""
    user, shared = host.find_user_file(machine), host.project_path(project)
    return [(user, False)] if shared is None or _is_same(shared, user) else [(user, False), (shared, True)]


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths are one file, as in the home folder; with case ignored where the system does."""
    try:
        return one.samefile(other)
    except OSError:  # one does not exist
        return one.absolute() == other.absolute()


def registrations(host: Host, file: Path, *, within: Path | None = None) -> list[RegisteredServer]:
    """Return the entries of a file that start this server.

    Args:
        within: the project that contains the file; links that lead out of it are not followed.

    Raises:
        BridgeError: the file cannot be read.
    """
    text = read_config(file, within=within)
    with naming(file):
        return [server for server in list_servers(host, text) if server.is_ours]


def _original(host: Host, backups: Sequence[Path]) -> str | None:
    """Return the text before the first registration, from the oldest backup; None if there was no file."""
    try:
        text = read_config(backups[0]) if backups else None
        return None if text is None or any(server.is_ours for server in list_servers(host, text)) else text
    except BridgeError:
        return None


def _delete_backups(backups: Sequence[Path]) -> None:
    for backup in backups:
        with suppress(OSError):  # a file that cannot be deleted does no harm
            backup.unlink()


def _folders_to_keep(machine: Machine, project: Path | None) -> list[Path]:
    """Return folders that install must not delete, even if they are empty."""
    named = (machine.folder(name) for name in ("XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"))
    return [machine.home, *(folder for folder in (*named, project) if folder is not None)]


def _hide_secrets(backup: Path | None, old: RegisteredServer | None) -> None:
    """Remove a token from the backups when it is removed from the file."""
    env = old.launch.env if old is not None and old.launch is not None else {}
    values = [env[name] for name in secret_variables(env) if "$" not in env[name] and "{" not in env[name]]
    if backup is None or not values:
        return
    data = backup.read_bytes()
    for value in values:
        data = data.replace(value.encode(), b"***")
    backup.write_bytes(data)


def _entry(host: Host, machine: Machine, order: Order) -> dict[str, Any]:
    forwarded = _forwarded(order, host)
    if forwarded and not host.resolves_variables:
        names = " and ".join(forwarded)
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"{host.title} starts servers without {names}: it reads nothing from the environment.",
            "Make a profile with `databricks auth login`, which needs no secret in a file, or have one made of the "
            "variables with --yes, or, if it may stand in the host's file, write the token there with --token-in-file.",
        )
    shell_only = _set_in_shell_only(order, host, machine)
    if shell_only:
        names = " and ".join(shell_only)
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"{host.title} is started from the desktop, and {names} is set in this shell only.",
            f"Add --yes to have a profile made of it in ~/.databrickscfg, or name one with --profile; --env "
            f"{shell_only[0]} still writes the reference, for a {host.title} that is started from this shell.",
        )
    env = {**order.sign_in.env, **order.env}
    words = order.command if order.project is None else order.portable
    secret = [*secret_variables(env), *(["A secret in the command"] if secret_words(words) else [])]
    if secret:
        file = file_of(host, machine, order.project)
        _refuse_shared(host, file, machine, secret, project=order.project is not None)
    return host.make_entry(Launch(command=words[0], args=words[1:], env=env), name=order.name, forwarded=forwarded)


def _set_in_shell_only(order: Order, host: Host, machine: Machine) -> list[str]:
    """Return the parts of the sign-in that the host would not find; what the caller named is written unchanged."""
    if order.project is not None or not host.needs_desktop_variables:
        return []
    names = [name for name in order.sign_in.forwarded if name not in order.forwarded]
    return sorted(set(names) - machine.desktop_variables()) if names else []


def _forwarded(order: Order, host: Host) -> tuple[str, ...]:
    if order.project is not None and not host.resolves_variables:
        return order.forwarded  # there each user signs in differently
    return tuple(dict.fromkeys((*order.sign_in.forwarded, *order.forwarded)))


def _existing(host: Host, text: str, file: Path, order: Order) -> RegisteredServer | None:
    with naming(file):
        old = next((server for server in list_servers(host, text) if server.name == order.name), None)
    if old is not None and not old.is_ours and not order.force:
        starts = f"starts {old.launch.command}" if old.launch is not None else "is reached by an address"
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{file} has another server of the name {order.name}, which {starts}.",
            "Choose another name with --name, or have it replaced with --force.",
        )
    return old


def _refuse_shared(host: Host, file: Path, machine: Machine, secret: list[str], *, project: bool) -> None:
    if not project and not is_committed(file, machine):
        return
    why = f"is {host.title}'s file for a project, which is made to be shared" if project else "is tracked by git"
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{', '.join(secret)} would be written to {file}, which {why}.",
        "Name a profile with --profile instead, or have git ignore the file."
        if not project
        else "Leave the secret out: each who uses the project signs in with a profile of their own.",
    )


def is_committed(file: Path, machine: Machine) -> bool:
    """Return whether a file is in a git work tree that does not ignore it; a link counts as its target."""
    file = file.resolve()
    folder = next((parent for parent in file.parents if (parent / ".git").exists()), None)
    if folder is None:
        return False
    git = machine.which("git")
    if git is None:
        return True  # not known to be ignored
    try:
        ignored = subprocess.run(  # noqa: S603 - fixed arguments
            [str(git), *_HARMLESS_GIT, "-C", str(folder), "check-ignore", "--quiet", "--", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            check=False,
            env=_git_environment(machine),
        )
    except (OSError, subprocess.SubprocessError):
        return True
    return ignored.returncode != 0


def _git_environment(machine: Machine) -> dict[str, str]:
    """Return the user's variables without git's own, which may point elsewhere, and with fetching of objects
    disabled.
    """
    own = {name: value for name, value in machine.environ.items() if not name.upper().startswith("GIT_")}
    return {
        **own,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
