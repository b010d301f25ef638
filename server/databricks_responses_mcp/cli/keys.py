"""``keys``: the static keys that clients of a service may sign in with."""

import os
from pathlib import Path

import click

from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.hosts.config_file import read_config, write_config
from databricks_responses_mcp.workspace.secret_values import SecretValues


@click.group(
    help="Manage the static keys that clients of a service for a team may sign in with. Their file holds nothing but "
    "hashes, so no key can be read from it."
)
def command() -> None:
    """The group of the commands for keys."""


def _file_option(function: "click.decorators.FC") -> "click.decorators.FC":
    return click.option(
        "--file",
        metavar="PATH",
        help="The file of the keys. [default: RESPONSES_MCP_SERVICE_KEYS_FILE]",
    )(function)


@command.command(cls=SectionedCommand, help="Make a key for NAME, such as an e-mail address, and print it: this once.")
@click.argument("name")
@_file_option
@click.pass_obj
def add(shown_never: SecretValues, name: str, file: str | None) -> None:
    """Add a key; the file is created if it does not exist."""
    # Imported here: the commands for people need nothing of a service.
    from databricks_responses_mcp.service.static_keys import new_key, read_keys

    path = _path(file, shown_never)
    key, line = new_key(name)
    if path.exists():
        read_keys(path)
    previous = read_config(path)
    _write_lines(path, [*previous.splitlines(), line], previous)
    click.echo(key)
    click.echo(f"Clients of {name} send it as `Authorization: Bearer KEY`. It cannot be shown again.", err=True)


@command.command("list", cls=SectionedCommand, help="List the names that have keys.")
@_file_option
@click.pass_obj
def list_names(shown_never: SecretValues, file: str | None) -> None:
    """List the names."""
    from databricks_responses_mcp.service.static_keys import read_keys

    keys, wrong = read_keys(_path(file, shown_never))
    for name in sorted({key.name for key in keys}):
        click.echo(name)
    for number in wrong:
        click.echo(f"Line {number} is not a key.", err=True)


@command.command(cls=SectionedCommand, help="Remove all keys of NAME; a running service notices within a second.")
@click.argument("name")
@_file_option
@click.pass_obj
def remove(shown_never: SecretValues, name: str, file: str | None) -> None:
    """Remove the keys of a name."""
    from databricks_responses_mcp.service.static_keys import read_keys

    path = _path(file, shown_never)
    read_keys(path)
    previous = read_config(path)
    lines = previous.splitlines()
    others = [line for line in lines if line.partition(":")[0].strip() != name]
    if len(others) == len(lines):
        raise BridgeError(ErrorCode.NOT_FOUND, f"{quoted(name)} has no key.", "`keys list` shows the names.")
    _write_lines(path, others, previous)


def _path(given: str | None, shown_never: SecretValues) -> Path:
    if given is not None:
        return Path(given).expanduser().absolute()
    # Imported here: the commands for people need nothing of a service.
    from databricks_responses_mcp.service.settings import load_service_settings

    path = load_service_settings(os.environ, secrets=shown_never).keys_file
    if path is None:
        raise click.UsageError("name the file with --file PATH, or set RESPONSES_MCP_SERVICE_KEYS_FILE.")
    return path


def _write_lines(path: Path, lines: list[str], previous: str) -> None:
    """Replace the file of the keys: a running service never reads a part of it.

    Raises:
        BridgeError: as `write_config` does, for one if another command has changed the file since it was read.
    """
    # No backup: a removed key would come back with it.
    write_config(path, "".join(f"{line}\n" for line in lines), previous=previous, has_backup=False)
