"""``~/.databrickscfg``: the content of a named profile, to explain a conflict that the SDK would resolve silently."""

import codecs
import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.workspace.host import EXAMPLES, WorkspaceHost, normalise_host

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

SECRET_KEYS = ("token", "client_secret", "azure_client_secret", "password", "google_credentials")
"""The keys of a profile that must not be shown."""

_VARIABLE = "DATABRICKS_CONFIG_PROFILE"
_SETTINGS_SECTION = "__settings__"
# In the SDK an environment variable takes precedence over the profile, for each attribute: a profile with its own
# credentials beside DATABRICKS_TOKEN would be a mixture of two workspaces.
_SIGNS_IN = ("client_id", "azure_client_id", "username", "metadata_service_url", "google_service_account")


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the profiles: ``DATABRICKS_CONFIG_FILE``, else ``~/.databrickscfg``."""
    path = Path(environ.get("DATABRICKS_CONFIG_FILE", "").strip() or "~/.databrickscfg")
    try:
        return path.expanduser()
    except RuntimeError:  # no home directory
        return path


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of the file of profiles.

    Attributes:
        profiles: the attributes of each profile, by name.
        is_plain: whether other programs can read it too: UTF-8 without a byte order mark.
    """

    profiles: Mapping[str, Mapping[str, str]]
    is_plain: bool


def read_config_file(environ: Mapping[str, str]) -> ConfigFile:
    """Read the file of profiles, in UTF-8 or UTF-16. Reads a file: call it off the event loop.

    Raises:
        FileNotFoundError: if there is none.
        BridgeError: ``not_configured``, if it cannot be read.
    """
    parser = configparser.RawConfigParser(default_section="\0", interpolation=None)
    try:
        data = config_path(environ).read_bytes()
        # Windows' editors and shells write byte order marks and UTF-16.
        encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
        parser.read_string(data.decode(encoding))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        # Not repeated: an error of the parser quotes the line, which may contain a token.
        raise unreadable(error, environ) from None
    profiles = {name: dict(parser.items(name)) for name in parser.sections() if name != _SETTINGS_SECTION}
    return ConfigFile(profiles, is_plain=encoding == "utf-8")


def read_profile(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of the profile ``name``. Reads a file: call it off the event loop.

    Raises:
        BridgeError: ``not_configured``, if there is no such profile or the file cannot be read.
    """
    path = config_path(environ)
    try:
        profiles = read_config_file(environ).profiles
    except FileNotFoundError:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"The profile {name} is configured, but there is no file {path.name} to find it in.",
            _choose_another(name, environ, "Unset"),
            advice=(Advice(Action.SIGN_IN, f"--profile {name}"),),
        ) from None
    if name not in profiles:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"There is no profile {name} in {path.name}; it has {', '.join([*profiles][:20]) or 'none'}.",
            _choose_another(name, environ, "Correct"),
            advice=(Advice(Action.SIGN_IN, f"--profile {name}"),),
        )
    return dict(profiles[name])


def _choose_another(name: str, environ: Mapping[str, str], verb: str) -> str:
    """Return advice for a profile that does not exist, depending on whether the environment names it."""
    if environ.get(_VARIABLE, "").strip() == name:
        return f"{verb} {_VARIABLE}, or create the profile."
    return "Name another profile, or create this one."


def unreadable(error: Exception, environ: Mapping[str, str]) -> BridgeError:
    """Return the error for a file of profiles that cannot be read; it quotes nothing of the file."""
    line = getattr(error, "lineno", None)
    where = f" (line {line})" if isinstance(line, int) else f" ({type(error).__name__})"
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"{config_path(environ).name} cannot be read{where}.",
        "Correct the file: it has [profile] headings, and lines such as `host = https://…` under them.",
    )


def host_of_profile(name: str, host: str) -> WorkspaceHost:
    """Return the host that a profile names.

    Raises:
        BridgeError: ``not_configured``, naming the profile, if the host is invalid.
    """
    try:
        return normalise_host(host)
    except BridgeError as error:
        raise BridgeError(
            error.code,
            f"The profile {name} of ~/.databrickscfg is wrong. {error.message}",
            f"Correct `host` under [{name}]: it is the address in the browser's bar when the workspace is open, such "
            f"as {EXAMPLES}.",
            advice=(Advice(Action.SIGN_IN, f"--profile {name}"),),
        ) from None


def check_profile(name: str, profile: Mapping[str, str], host: str | None, token: str | None) -> None:
    """Refuse a profile that contradicts other settings.

    Raises:
        BridgeError: ``not_configured``, naming both sources.
    """
    theirs = profile.get("host", "").strip()
    origin = host_of_profile(name, theirs).origin if theirs else None
    if host and origin and origin != host:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"Two workspaces are configured: the profile {name} is for {origin}, and DATABRICKS_HOST is {host}.",
            "Unset DATABRICKS_CONFIG_PROFILE or DATABRICKS_HOST, whichever is not meant.",
        )
    other = profile.get("token", "").strip()
    if token and ((other and other != token) or any(profile.get(key) for key in _SIGNS_IN)):
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"Two ways to sign in are configured: the profile {name} has its own, and DATABRICKS_TOKEN is set too.",
            "Unset DATABRICKS_CONFIG_PROFILE or DATABRICKS_TOKEN, whichever is not meant.",
        )
