"""``keys``: the static keys that clients of a service may sign in with."""

import os
import secrets
from pathlib import Path

import click

from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
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
    _rewrite(path, [*_lines(path), line])
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
    lines = _lines(path)
    kept = [line for line in lines if line.partition(":")[0].strip() != name]
    if len(kept) == len(lines):
        raise BridgeError(ErrorCode.NOT_FOUND, f"{quoted(name)} has no key.", "`keys list` shows the names.")
    _rewrite(path, kept)


def _path(given: str | None, shown_never: SecretValues) -> Path:
    if given is not None:
        return Path(given).expanduser().absolute()
    # Imported here: the commands for people need nothing of a service.
    from databricks_responses_mcp.service.settings import load_service_settings

    path = load_service_settings(os.environ, secrets=shown_never).keys_file
    if path is None:
        raise click.UsageError("name the file with --file PATH, or set RESPONSES_MCP_SERVICE_KEYS_FILE.")
    return path


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _rewrite(path: Path, lines: list[str]) -> None:
    """Replace the file at once, so that a running service never reads half of it.

    Raises:
        BridgeError: ``invalid_argument`` if it cannot be written.
    """
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        reason = error.strerror or type(error).__name__
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"The keys cannot be written to {path}: {reason}.", "Name another file."
        ) from error
