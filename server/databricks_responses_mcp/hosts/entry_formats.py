"""How each host writes a server's launch down, and how that is read back.

A shape turns ``(name, launch, forwarded)`` into the host's own object; ``forwarded`` are the names of environment
variables whose values the host is to fetch itself, so that the file holds no secret.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER, Launch

Entry = dict[str, Any]
Write = Callable[[str, Launch, Sequence[str]], Entry]
Read = Callable[[Mapping[str, Any]], Launch | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of one entry.

    Attributes:
        write: makes one.
        read: what of an entry starts the server; None if it starts no process, or is none of this form.
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
) -> Shape:
    """``{command, args, env}``, which most hosts share.

    Args:
        reference: what stands for a variable's value, with ``NAME`` or ``name`` in it; "" if there is no such thing.
        before: what else an entry says, in front of it.
        after: the same, behind it.
    """

    def write(_name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
        env = {**launch.env, **{variable: refer(reference, variable) for variable in forwarded if reference}}
        entry = {**(before or {}), "command": launch.command, "args": list(launch.args)}
        return {**entry, **({"env": env} if env else {}), **(after or {})}

    return Shape(write, _read_plain)


def refer(reference: str, variable: str) -> str:
    """A host's reference to a variable: ``${NAME}`` becomes ``${DATABRICKS_TOKEN}``."""
    return reference.replace("NAME", variable).replace("name", variable.lower())


_LISTED = plain(reference="${{ secrets.NAME }}", before={"type": "stdio"})


def listed(name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """Continue's: its servers are a list, so each says its own name."""
    return {"name": name, **_LISTED.write(name, launch, forwarded)}


def codex(_name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """Codex': variables are forwarded from the shell by name."""
    entry: Entry = {"command": launch.command, "args": list(launch.args)}
    if forwarded:
        entry["env_vars"] = list(forwarded)
    # 10 s by default, which a first start by uvx exceeds: it fetches the server.
    entry["startup_timeout_sec"] = 60
    # Measured at 300 s, but 60 s and 120 s in earlier versions, which would cut calls that 300 s are enough for.
    entry["tool_timeout_sec"] = 300
    if launch.env:
        entry["env"] = dict(launch.env)
    return entry


def opencode(_name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """opencode's: the command is one list."""
    env = {**launch.env, **{variable: refer("{env:NAME}", variable) for variable in forwarded}}
    return {
        "type": "local",
        "command": [launch.command, *launch.args],
        **({"environment": env} if env else {}),
        "enabled": True,
        # 5 s by default until the tools are listed, which a first start by uvx exceeds; and 60 s for a call.
        "timeout": 300_000,
    }


def goose(name: str, launch: Launch, forwarded: Sequence[str]) -> Entry:
    """goose's: variables are looked up in its own keyring, or in the environment."""
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
    """The launch of an entry of opencode's."""
    command = entry.get("command")
    if not isinstance(command, list) or not command:
        return None
    return _launch(command[0], command[1:], entry.get("environment"))


def read_goose(entry: Mapping[str, Any]) -> Launch | None:
    """The launch of an entry of goose's."""
    return _launch(entry.get("cmd"), entry.get("args"), entry.get("envs"))


@dataclass(frozen=True, slots=True)
class Beside:
    """What an entry needs elsewhere in the same file: VS Code asks for secrets that are described in ``inputs``.

    Attributes:
        within: the keys of the list.
        by: which key of its items tells them apart.
        items: what must be in it.
    """

    within: tuple[str, ...]
    by: str
    items: tuple[Entry, ...] = field(default=())


def inputs(forwarded: Sequence[str]) -> Beside:
    """VS Code's questions to its user; it keeps the answers encrypted."""
    described = {variable.name: variable for variable in SERVER.variables}
    return Beside(
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
