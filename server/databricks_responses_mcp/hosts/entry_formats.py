"""The entry of a server in each host's configuration file: how it is written and read.

An entry is made of ``(name, launch, forwarded)``. ``forwarded`` are the names of environment variables whose values
the host fetches itself, so that the file contains no secret.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER, Launch

Entry = dict[str, Any]
Write = Callable[[str, Launch, Sequence[str]], Entry]
Read = Callable[[Mapping[str, Any]], Launch | None]


@dataclass(frozen=True, slots=True)
class EntryFormat:
    """The format of a host's entries.

    Attributes:
        write: makes an entry.
        read: returns how an entry starts its server; None if it starts no process or has another format.
    """

    write: Write
    read: Read


def _read_plain(entry: Mapping[str, Any]) -> Launch | None:
    return _launch(entry.get("command"), entry.get("args"), entry.get("env"))


def _launch(command: object, args: object, env: object) -> Launch | None:
    if not isinstance(command, str) or not command:
        return None
    return Launch(
        command=command,
        args=tuple(str(argument) for argument in args) if isinstance(args, list) else (),
        env={str(name): str(value) for name, value in env.items()} if isinstance(env, Mapping) else {},
    )


def plain(
    *, reference: str = "", before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> EntryFormat:
    """Return the format ``{command, args, env}``, which most hosts use.

    Args:
        reference: the host's reference to a variable, with ``NAME`` or ``name`` as placeholder; "" if it has none.
        before: constant members before ``command``.
        after: constant members at the end.
    """

    def write(_name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
        env = {**launch.env, **{variable: format_reference(reference, variable) for variable in forwarded if reference}}
        entry = {**(before or {}), "command": launch.command, "args": list(launch.args)}
        return {**entry, **({"env": env} if env else {}), **(after or {})}

    return EntryFormat(write, _read_plain)


def format_reference(reference: str, variable: str) -> str:
    """Return a host's reference to a variable: of ``${NAME}``, ``${DATABRICKS_TOKEN}``."""
    return reference.replace("NAME", variable).replace("name", variable.lower())


_CONTINUE = plain(reference="${{ secrets.NAME }}", before={"type": "stdio"})


def write_continue(name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """Return an entry of Continue, whose servers are a list, so each contains its own name."""
    return {"name": name, **_CONTINUE.write(name, launch, forwarded)}


def write_codex(_name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """Return an entry of Codex, which forwards variables from the shell by name."""
    entry: Entry = {"command": launch.command, "args": list(launch.args)}
    if forwarded:
        entry["env_vars"] = list(forwarded)
    # The default of 10 s is too short for a first start by uvx, which downloads the server.
    entry["startup_timeout_sec"] = 60
    # The measured default is 300 s, but it was 60 s and 120 s in earlier versions.
    entry["tool_timeout_sec"] = 300
    if launch.env:
        entry["env"] = dict(launch.env)
    return entry


def write_opencode(_name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """Return an entry of opencode, whose command is one list."""
    env = {**launch.env, **{variable: format_reference("{env:NAME}", variable) for variable in forwarded}}
    return {
        "type": "local",
        "command": [launch.command, *launch.args],
        **({"environment": env} if env else {}),
        "enabled": True,
        # The default of 5 s until the tools are listed is too short for a first start by uvx; the default for a call is
        # 60 s.
        "timeout": 300_000,
    }


def write_goose(name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """Return an entry of goose, which looks variables up in its own keyring or in the environment."""
    return {
        "enabled": True,
        "type": "stdio",
        "name": name,
        "description": SERVER.summary,
        "cmd": launch.command,
        "args": list(launch.args),
        "envs": dict(launch.env),
        "env_keys": list(forwarded),
        "timeout": 300,
    }


def read_opencode(entry: Mapping[str, Any]) -> Launch | None:
    """Return how an entry of opencode starts its server."""
    command = entry.get("command")
    if not isinstance(command, list) or not command:
        return None
    return _launch(command[0], command[1:], entry.get("environment"))


def read_goose(entry: Mapping[str, Any]) -> Launch | None:
    """Return how an entry of goose starts its server."""
    return _launch(entry.get("cmd"), entry.get("args"), entry.get("envs"))


@dataclass(frozen=True, slots=True)
class RelatedItems:
    """Items that an entry needs elsewhere in the same file: VS Code prompts for secrets described in ``inputs``.

    Attributes:
        within: the keys that lead to the list.
        key: the key of its items that identifies them.
        items: the items that the list must contain.
    """

    within: tuple[str, ...]
    key: str
    items: tuple[Entry, ...] = field(default=())


def make_inputs(forwarded: Sequence[str]) -> RelatedItems:
    """Return the inputs that VS Code prompts its user for; it stores the values encrypted."""
    described = {variable.name: variable for variable in SERVER.variables}
    return RelatedItems(
        ("inputs",),
        "id",
        tuple(
            {
                "type": "promptString",
                "id": variable.lower(),
                "description": described[variable].title if variable in described else variable,
                "password": True,
            }
            for variable in forwarded
        ),
    )
