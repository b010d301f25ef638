"""Adding the server to the text of a host's configuration file, finding it there and removing it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing import Named, Place, read_entry, remove_entry, set_entry
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.server_info import SERVER, Launch

_MODULE = SERVER.distribution.replace("-", "_")
# A script, a requirement such as `name==1.0`, or a container image such as `registry/name:1.0`.
_PROGRAM = re.compile(rf"(?:^|[/\\]){SERVER.distribution}(?:\.exe)?(?:$|[@=\[<>~!:])")
# `${env:NAME}`, `{env:NAME}`, `${NAME}`, `$NAME`; not `${input:name}`, nor the placeholders of a host's form.
_VARIABLE = re.compile(r"\{env:(\w+)\}|\$\{(\w+)\}|^\$(\w+)$")
_ASKED = re.compile(r"\$\{input:([^}]+)\}")
# Variables that `install` writes: a new installation replaces them. Those that a user has added to an entry are kept.
_SIGN_IN = "DATABRICKS_"
_ENV_KEYS = ("env", "environment", "envs")
_REFERENCES = ("env_vars", "env_keys")


@dataclass(frozen=True, slots=True)
class RegisteredServer:
    """A server in a host's file.

    Attributes:
        name: in the file.
        entry: its entry in the file.
        launch: how it is started; None if it starts no process.
    """

    name: str
    entry: Mapping[str, Any]
    launch: Launch | None

    @property
    def is_ours(self) -> bool:
        """Whether it starts this server, by whatever program."""
        return self.launch is not None and find_server_argument(self.launch) is not None


def find_server_argument(launch: Launch) -> int | None:
    """Return the index of the word of a command line that names this server: 0 is the command. None if none does."""
    words = (launch.command, *launch.args)
    ours = [index for index, word in enumerate(words) if word == _MODULE or _PROGRAM.search(word)]
    return ours[-1] if ours else None


def find_referenced_variables(server: RegisteredServer) -> list[str]:
    """Return the variables that the host fetches from its own environment, without those that have a default."""
    found = [name for key in _REFERENCES for name in _texts(server.entry.get(key))]
    for value in server.launch.env.values() if server.launch is not None else ():
        found += [name for match in _VARIABLE.finditer(value) if (name := next(filter(None, match.groups()), ""))]
    return list(dict.fromkeys(found))


def find_undefined_inputs(host: Host, text: str, server: RegisteredServer) -> list[str]:
    """Return the ids of inputs that an entry refers to and that its file does not define."""
    asked = dict.fromkeys(_ASKED.findall(str(server.entry)))
    if host.related_items is None:
        return list(asked)
    related = host.related_items(())
    return [one for one in asked if read_entry(text, host.format, (*related.within, Named(related.key, one))) is None]


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def entry_place(host: Host, name: str) -> Place:
    """Return the place of the entry of that name in the host's file."""
    return (*host.within, Named("name", name) if host.servers_are_list else name)


def list_servers(host: Host, text: str) -> list[RegisteredServer]:
    """Return all servers of a file.

    Raises:
        BridgeError: the file cannot be parsed in the host's format; the message names the line.
    """
    found = read_entry(text, host.format, host.within)
    named: Iterable[tuple[Any, Any]] = ()
    if isinstance(found, Mapping):
        named = found.items()
    elif isinstance(found, list):
        named = ((entry.get("name"), entry) for entry in found if isinstance(entry, Mapping))
    return [
        RegisteredServer(str(name), entry, host.read_launch(entry))
        for name, entry in named
        if isinstance(entry, Mapping)
    ]


def merge_entry(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``new`` with the keys and variables that a user has added to ``old``."""
    if old is None:
        return dict(new)
    result = dict(new)
    result.update({key: value for key, value in old.items() if key not in (*new, *_ENV_KEYS, *_REFERENCES)})
    for key in _ENV_KEYS:
        env = old.get(key)
        if isinstance(env, Mapping):
            by_hand = {name: value for name, value in env.items() if not str(name).startswith(_SIGN_IN)}
            if by_hand or key in new:
                result[key] = {**by_hand, **new.get(key, {})}
    return result


def register(
    host: Host, text: str, entry: Mapping[str, Any], *, name: str = SERVER.key, forwarded: Sequence[str] = ()
) -> str:
    """Return the text with the entry added or replaced; everything else is unchanged."""
    text = set_entry(text, host.format, entry_place(host, name), dict(entry))
    if host.related_items is not None and forwarded:
        related = host.related_items(forwarded)
        for item in related.items:
            place: Place = (*related.within, Named(related.key, item[related.key]))
            if read_entry(text, host.format, place) is None:
                text = set_entry(text, host.format, place, item)
    return text


def unregister(host: Host, text: str, *, name: str = SERVER.key, original: str | None = None) -> str:
    """Return the text without the entry, without inputs that only it used, and without tables left empty by that.

    Args:
        original: the text before the first registration, if it is known: tables that were empty in it are kept.
    """
    removed = read_entry(text, host.format, entry_place(host, name))
    if removed is None:
        return text
    text = remove_entry(text, host.format, entry_place(host, name))
    if host.related_items is not None:
        related = host.related_items(())
        remaining = str([server.entry for server in list_servers(host, text)])
        for asked in dict.fromkeys(_ASKED.findall(str(removed))):
            if f"${{input:{asked}}}" not in remaining:
                text = remove_entry(text, host.format, (*related.within, Named(related.key, asked)))
        text = _remove_empty(host, text, related.within, original)
    return _remove_empty(host, text, host.within, original)


def is_empty_config(host: Host, text: str) -> bool:
    """Return whether a file has no content of its own: it is empty, or equal to the host's initial text."""
    return text.removeprefix("\ufeff").strip() in ("", "{}", host.new_file.strip())


def _remove_empty(host: Host, text: str, within: Sequence[str], original: str | None) -> str:
    for depth in range(len(within), 0, -1):
        place: Place = tuple(within[:depth])
        if read_entry(text, host.format, place) not in ({}, []):
            return text
        if original is not None and _has(host, original, place):
            return text
        text = remove_entry(text, host.format, place)
    return text


def _has(host: Host, text: str, place: Place) -> bool:
    try:
        return read_entry(text, host.format, place) is not None
    except BridgeError:  # the backup is of a damaged file
        return False
