"""The command in a host's configuration: the program that runs this server, and how it signs in."""

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.server_info import RELEASED, SERVER
from databricks_responses_mcp.workspace.profiles import config_path, read_config_file, read_profile
from databricks_responses_mcp.workspace.redaction import redact

_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "CREDENTIAL")
# Options with which uv and pipx fetch the server from another place than PyPI.
_SOURCE_OPTIONS = frozenset(
    ("--from", "--spec", "--directory", "--project", "--with-editable", "--index", "--default-index", "--index-url")
) | {"-i", "--find-links", "-f", "--extra-index-url", "--pip-args"}
_SOURCE_VARIABLES = ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
# Folders that uv and pipx create for one run, and delete.
_EPHEMERAL_OF_UV = ("archive-v", "environments-v", "builds-v")


@dataclass(frozen=True, slots=True)
class SignIn:
    """How the server signs in, as a host's file configures it.

    Attributes:
        env: values in the file.
        forwarded: names of secret variables, which the host must fetch itself.
        words: a description for people, which follows "signs in ".
        secret: whether ``env`` contains a secret.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    forwarded: tuple[str, ...] = ()
    words: str = ""
    secret: bool = False


def installed_from() -> str | None:
    """Return the source that this distribution was installed from, for ``uvx --from``; None if it was an index."""
    try:
        origin = json.loads(distribution(SERVER.distribution).read_text("direct_url.json") or "null")
    except (PackageNotFoundError, ValueError):
        return None
    url = origin.get("url") if isinstance(origin, dict) else None
    if not isinstance(url, str) or not url:
        return None
    if isinstance(vcs := origin.get("vcs_info"), dict):
        commit = f"@{vcs['commit_id']}" if vcs.get("commit_id") else ""
        return f"{vcs.get('vcs', 'git')}+{url}{commit}"
    return url2pathname(urlsplit(url).path) if url.startswith("file:") else url


def own_command(
    argv0: str,
    prefix: str,
    executable: str,
    environ: Mapping[str, str],
    *,
    source: str | None = None,
    released: bool = RELEASED,
) -> tuple[str, ...]:
    """Return the absolute command that starts this installation: hosts have another PATH than a shell.

    Args:
        argv0: the name that this process was started with.
        prefix: the folder of its Python environment.
        executable: its Python program.
        source: as `installed_from`; for an environment that uv or pipx created for one run.
        released: whether such an environment can be created again from the distribution's name alone.

    Raises:
        BridgeError: ``not_configured``, if a host could not start this installation again.
    """
    parts = Path(prefix).parts
    machine = Machine(sys.platform, Path(), environ)
    if any(part.startswith(_EPHEMERAL_OF_UV) for part in parts):
        beside = Path(environ["UV"]).with_name("uvx") if environ.get("UV") else None
        found = machine.which("uvx") or (machine.which(str(beside)) if beside else None)
        uvx = os.path.abspath(found) if found else "uvx"  # noqa: PTH100 - links stay
        return (uvx, *_by_name("--from", source, released=released))
    if "pipx" in parts and ".cache" in parts:
        return (str(machine.which("pipx") or "pipx"), "run", *_by_name("--spec", source, released=released))
    for candidate in (Path(argv0), Path(executable).with_name(SERVER.distribution)):
        for script in (candidate, candidate.with_name(f"{candidate.name}.exe")):
            if script.stem == SERVER.distribution and script.is_file():
                return (os.path.abspath(script),)  # noqa: PTH100 - a link, such as uv's in ~/.local/bin, outlives updates
    return (os.path.abspath(executable), "-m", "databricks_responses_mcp")  # noqa: PTH100


def _by_name(option: str, source: str | None, *, released: bool) -> tuple[str, ...]:
    """Return the arguments with which uv and pipx run the server by name."""
    if source is not None:
        return (option, source, SERVER.distribution)
    if released:
        return (SERVER.distribution,)
    raise BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"This command runs from an environment that was made for one run, and {SERVER.distribution} is not on PyPI "
        "yet: no host could start it again.",
        "Install it first, from the folder of its source: `uv tool install .` or `pipx install .`.",
    )


def is_unreleased_name(words: Sequence[str], env: Mapping[str, str], *, released: bool = RELEASED) -> bool:
    """Return whether a command line lets uv or pipx fetch the server by a name that anybody may register on PyPI."""
    if released or not words or Path(words[0]).stem not in ("uv", "uvx", "pipx"):
        return False
    elsewhere = any(word.partition("=")[0] in _SOURCE_OPTIONS for word in words[1:])
    return not elsewhere and not any(name in env for name in _SOURCE_VARIABLES)


def given_command(text: str, environ: Mapping[str, str], *, absolute: bool) -> tuple[str, ...]:
    """Return a user's command line as program and arguments; the program is looked up if it is to be ``absolute``.

    Raises:
        BridgeError: ``invalid_argument``.
    """
    try:
        words = shlex.split(text, posix=sys.platform != "win32")
    except ValueError as error:
        raise _wrong(f"--command cannot be read: {error}.", "Check its quotes.") from error
    if sys.platform == "win32":
        words = [word.replace('"', "") for word in words]
    if not words:
        raise _wrong("--command is empty.", "Give the program and its arguments in one string.")
    if absolute and (found := Machine(sys.platform, Path(), environ).which(words[0])):
        words[0] = os.path.abspath(found)  # noqa: PTH100
    return tuple(words)


def sign_in_by_profile(name: str, environ: Mapping[str, str]) -> SignIn:
    """Return the sign-in by an existing profile.

    Raises:
        BridgeError: ``not_configured``.
    """
    read_profile(name, environ)
    return SignIn({"DATABRICKS_CONFIG_PROFILE": name}, words=f"with the profile {name}")


def default_sign_in(environ: Mapping[str, str]) -> SignIn:
    """Return the sign-in by the selected profile, else by the environment; secrets are not copied.

    Raises:
        BridgeError: ``not_configured``, without any sign-in, or with several profiles and none selected.
    """
    if chosen := _value(environ, "DATABRICKS_CONFIG_PROFILE"):
        return sign_in_by_profile(chosen, environ)
    names = profiles(environ)
    if len(names) == 1 or "DEFAULT" in names:
        return sign_in_by_profile("DEFAULT" if "DEFAULT" in names else names[0], environ)
    if _value(environ, "DATABRICKS_HOST"):
        return _by_environment(environ)
    if names:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"{config_path(environ).name} has several profiles: {', '.join(names[:20])}.",
            "Choose one with --profile.",
        )
    raise BridgeError(
        ErrorCode.NOT_CONFIGURED,
        "There is nothing to sign in to a workspace with.",
        "Run `databricks auth login`, which makes a profile, or set DATABRICKS_HOST and DATABRICKS_TOKEN; with "
        "--embedded it is tried without a workspace.",
    )


def shared_sign_in(environ: Mapping[str, str]) -> SignIn:
    """Return the sign-in for a project's file: without the user's own profiles, which others do not have.

    Without any profile, it names the workspace of the environment, and the secret comes from each user's environment.
    """
    if (
        not _value(environ, "DATABRICKS_CONFIG_PROFILE")
        and not profiles(environ)
        and _value(environ, "DATABRICKS_HOST")
    ):
        return _by_environment(environ)
    return SignIn(words="as each who uses the project does, by their profile DEFAULT or by DATABRICKS_* variables")


def sign_in_by_token(environ: Mapping[str, str]) -> SignIn:
    """Return the sign-in by the token of the environment, written to the file.

    Raises:
        BridgeError: ``not_configured``.
    """
    values = {name: _value(environ, name) for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN")}
    if missing := [name for name, value in values.items() if not value]:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"There is no token to write: {' and '.join(missing)} not set.",
            "Set DATABRICKS_HOST and DATABRICKS_TOKEN for this command.",
        )
    return SignIn(values, words="with the token, which is now in the file", secret=True)


def secret_variable(environ: Mapping[str, str]) -> str | None:
    """Return the variable with the secret that the environment signs in with; None without a workspace or a secret."""
    forwarded = _by_environment(environ).forwarded if _value(environ, "DATABRICKS_HOST") else ()
    return forwarded[0] if forwarded else None


def profiles(environ: Mapping[str, str]) -> list[str]:
    """Return the profiles of ``~/.databrickscfg`` that have content.

    Raises:
        BridgeError: ``not_configured``, if the file exists and cannot be read.
    """
    try:
        found = read_config_file(environ).profiles
    except FileNotFoundError:
        return []
    return [name for name, values in found.items() if values]


def parse_variables(given: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Parse ``NAME=VALUE`` into values, and ``NAME`` into names that the host fetches itself.

    Raises:
        BridgeError: ``invalid_argument``.
    """
    values: dict[str, str] = {}
    names: list[str] = []
    for text in given:
        name, equals, value = text.partition("=")
        if not name.isascii() or not name.replace("_", "a").isalnum() or name[0].isdigit():
            raise _wrong(f"--env must be NAME=VALUE or NAME, not {text[:40]!r}.", "Start with a variable's name.")
        if equals:
            values[name] = value
        else:
            names.append(name)
    return values, tuple(names)


def secret_variables(env: Mapping[str, str]) -> list[str]:
    """Return the variables whose values seem to be secret."""
    return [
        name
        for name, value in env.items()
        if value and (any(word in name.upper() for word in _SECRET_WORDS) or redact(value) != value)
    ]


def secret_words(words: Sequence[str]) -> bool:
    """Return whether a command line seems to contain a secret."""
    return any(redact(word) != word for word in (*words, " ".join(words)))


def _by_environment(environ: Mapping[str, str]) -> SignIn:
    env = {"DATABRICKS_HOST": _value(environ, "DATABRICKS_HOST")}
    for name in ("DATABRICKS_AUTH_TYPE", "DATABRICKS_CLIENT_ID"):
        if value := _value(environ, name):
            env[name] = value
    for name in ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET"):
        if _value(environ, name):
            return SignIn(env, (name,), words=f"with {name}, which the host fetches itself")
    return SignIn(env, words="with what the Databricks SDK finds for the workspace, such as the Azure CLI")


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _wrong(message: str, hint: str) -> BridgeError:
    return BridgeError(ErrorCode.INVALID_ARGUMENT, message, hint)
