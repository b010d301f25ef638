"""Creating a profile from variables of a shell, which hosts that are started from the desktop do not have."""

import re
import sys
from collections.abc import Mapping
from contextlib import suppress

from databricks_responses_mcp.cli.launch_command import SignIn, profiles
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.hosts.config_file import read_config, write_config
from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.workspace.credentials import checked_token
from databricks_responses_mcp.workspace.host import normalise_host
from databricks_responses_mcp.workspace.profiles import config_path, read_config_file, read_profile

_NAME = re.compile(r"[\w.@-]{1,100}")
_KEYS = {
    "DATABRICKS_TOKEN": {"token": "DATABRICKS_TOKEN"},
    "DATABRICKS_CLIENT_SECRET": {"client_id": "DATABRICKS_CLIENT_ID", "client_secret": "DATABRICKS_CLIENT_SECRET"},
}


def profile_values(secret: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the content of a profile that signs in as the variables do now.

    Args:
        secret: the variable with the secret.

    Raises:
        BridgeError: ``not_configured``, if a variable is missing or its value is invalid.
    """
    values = {"host": normalise_host(environ.get("DATABRICKS_HOST", "")).origin}
    for key, variable in _KEYS[secret].items():
        value = environ.get(variable, "").strip()
        values[key] = checked_token(value) if key == "token" else value
        if not value or not value.isprintable() or "\n" in value:
            raise BridgeError(ErrorCode.NOT_CONFIGURED, f"{variable} is not set, or has no value.", "Set it.")
    return values


def matching_profile(values: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
    """Return the name of a profile that has the same content.

    Raises:
        BridgeError: ``not_configured``, if the file exists and cannot be read.
    """
    for name in profiles(environ):
        with suppress(BridgeError):  # an invalid address
            said = read_profile(name, environ)
            if {**said, "host": normalise_host(said.get("host", "")).origin} == dict(values):
                return name
    return None


def names_in_use(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the headings of the file of profiles; a second one with the same name would make it unreadable.

    Raises:
        BridgeError: ``not_configured``, if the file exists and cannot be read.
    """
    try:
        return frozenset(read_config_file(environ).profiles)
    except FileNotFoundError:
        return frozenset()


def check_name(name: str) -> None:
    """Refuse a name that cannot be the heading of a profile.

    Raises:
        BridgeError: ``invalid_argument``.
    """
    if not _NAME.fullmatch(name) or name == "__settings__":
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{quoted(name)} cannot be the name of a profile.",
            "Use letters, digits, and the characters . _ @ and -.",
        )


def new_name(environ: Mapping[str, str]) -> str:
    """Return a name that no profile has."""
    taken = names_in_use(environ)
    names = (SERVER.distribution if number == 1 else f"{SERVER.distribution}-{number}" for number in range(1, 1000))
    return next(name for name in names if name not in taken)


def write_profile(name: str, values: Mapping[str, str], environ: Mapping[str, str]) -> SignIn:
    """Add a profile to the end of ``~/.databrickscfg``, which only its user may read from then on.

    Raises:
        BridgeError: as `write_config`; the file is unchanged.
    """
    path = config_path(environ)
    text = read_config(path)
    if path.exists() and sys.platform != "win32":
        path.chmod(0o600)  # before it contains the secret
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    section = [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    backup = write_config(path, text + gap + newline.join(section) + newline, previous=text)
    if backup is not None:
        backup.unlink(missing_ok=True)  # nothing was removed, and it contains secrets
    return SignIn({"DATABRICKS_CONFIG_PROFILE": name}, words=f"with the profile {name}, new in {path}")
