"""Signing in through the Databricks SDK: profiles, OAuth, Azure, OIDC, the metadata service and others.

The SDK blocks: importing it takes a second, creating its ``Config`` sends requests, and some of its requests have no
timeout. So all of it runs in a separate thread, one sign-in at a time, and no caller waits longer than the setting
says.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from databricks_responses_mcp import __version__
from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.workspace.credentials import SIGN_IN_VARIABLES, WORKSPACE_ID_HEADER, checked_token
from databricks_responses_mcp.workspace.host import WorkspaceHost, normalise_host
from databricks_responses_mcp.workspace.profiles import (
    SECRET_KEYS,
    check_profile,
    config_path,
    host_of_profile,
    read_config_file,
    read_profile,
)
from databricks_responses_mcp.workspace.sdk_children import contain_children
from databricks_responses_mcp.workspace.sdk_errors import no_workspace, sign_in_error
from databricks_responses_mcp.workspace.settings import Settings
from databricks_responses_mcp.workspace.single_flight import Flight

if TYPE_CHECKING:
    from databricks.sdk.core import Config

_DEFAULT = "DEFAULT"
# Where the SDK finds credentials without any setting: in a Databricks notebook, job or served model.
_INSIDE_DATABRICKS = ("DATABRICKS_RUNTIME_VERSION", "IS_IN_DB_MODEL_SERVING_ENV", "IS_IN_DATABRICKS_MODEL_SERVING_ENV")
_PROGRAMS = {"databricks-cli": "databricks", "azure-cli": "az"}


@dataclass(frozen=True, slots=True)
class _SignedIn:
    headers: Mapping[str, str]
    host: WorkspaceHost
    describe: str
    profile: str | None


class SdkCredentials:
    """Credentials of ``databricks.sdk.core.Config``, which is imported and created at the first use.

    Concurrent calls share one sign-in, which continues when a call is cancelled. A sign-in that takes longer than
    ``auth_timeout_seconds`` is abandoned, and the next call starts a new one.

    Args:
        settings: ``token``, ``profile`` and ``auth_timeout_seconds`` are used.
        host: the configured host, normalised, if there is one.
        environ: the process's environment. The SDK itself always reads ``os.environ``.
    """

    def __init__(
        self, settings: Settings, *, host: WorkspaceHost | None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._environ = environ
        self._given_host = host
        self._profile = settings.profile
        self._token = checked_token(settings.token.get_secret_value()) if settings.token else None
        self._timeout = settings.auth_timeout_seconds
        self._secrets = settings.secrets
        self._verbose = settings.log_level == "DEBUG"
        self._flight: Flight[_SignedIn] | None = None
        self._deadline = 0.0
        self._last: _SignedIn | None = None
        # The state that the threads share. A sign-in that was abandoned has an old generation, and must not store its
        # state.
        self._guard = threading.Lock()
        self._generation = 0
        self._config: Config | None = None

    async def headers(self) -> Mapping[str, str]:
        """Return all headers that authenticate a request, renewed by the SDK when they are due.

        Raises:
            BridgeError: ``not_configured``, ``unauthenticated``, ``upstream_unavailable`` or ``timeout``.
        """
        return (await self._sign_in()).headers

    async def host(self) -> WorkspaceHost:
        """Return the address of the workspace: the configured host, or the profile's (the first call signs in)."""
        return (self._last or await self._sign_in()).host

    async def refresh(self) -> bool:
        """Forget the SDK's state, so that the next call reads the configuration and signs in again."""
        last = self._last
        if self._flight is not None and not self._flight.landed and self._config is None:
            # Another call was refused at the same moment, and is already signing in again.
            return True
        self._forget()
        # A personal token in a profile is unchanged, unless the file is edited meanwhile.
        return last is None or not last.describe.endswith(("(pat)", "(basic)"))

    @property
    def profile(self) -> str | None:
        """The profile that is signed in with, once it is known."""
        return self._last.profile if self._last is not None else self._profile

    @property
    def renewal(self) -> str | None:
        """See `Credentials.renewal`."""
        return None

    @property
    def describe(self) -> str:
        """Return the profile and the kind of sign-in, if they are known yet."""
        if self._last is not None:
            return self._last.describe
        return f"profile {self._profile}" if self._profile else "Databricks unified authentication"

    async def _sign_in(self) -> _SignedIn:
        flight = self._flight
        if flight is None or flight.landed or time.monotonic() >= self._deadline:
            if flight is not None and not flight.landed:
                self._forget()
            generation = self._generation
            flight = Flight(lambda: self._signed_in(generation), "databricks-sign-in")
            self._flight = flight
            self._deadline = time.monotonic() + self._timeout
        with anyio.move_on_after(max(self._deadline - time.monotonic(), 0)):
            try:
                signed_in = await flight.result()
            except Exception as error:
                raise self._explained(error) from error
            if self._flight is flight:
                self._last = signed_in
            return signed_in
        if self._flight is flight:
            # The hanging thread holds the SDK's own locks: only a new Config can continue.
            self._forget()
        raise BridgeError(
            ErrorCode.TIMEOUT,
            f"Signing in to the workspace did not finish within {self._timeout:g} s ({self.describe}).",
            "Check DATABRICKS_HOST, the network and any proxy; RESPONSES_MCP_AUTH_TIMEOUT_SECONDS sets the limit.",
            retryable=True,
            advice=(Advice(Action.SIGN_IN),),
        )

    def _forget(self) -> None:
        with self._guard:
            self._generation += 1
            self._config = None
        self._flight = None
        self._last = None

    # The functions below run in the thread.

    def _signed_in(self, generation: int) -> _SignedIn:
        with self._guard:
            config = self._config
        if config is None:
            self._check()
            config = self._build()
            with self._guard:
                if self._generation == generation:
                    self._config = config
        self._secrets.add(*(getattr(config, name, None) for name in SECRET_KEYS))
        headers = dict(config.authenticate())
        self._secrets.add(*(value for name, value in headers.items() if name.lower() != WORKSPACE_ID_HEADER.lower()))
        host = self._host_of(config)
        if host.workspace_id:
            headers.setdefault(WORKSPACE_ID_HEADER, host.workspace_id)
        profile = self._profile_of(config)
        describe = f"profile {profile} ({config.auth_type})" if profile else f"environment ({config.auth_type})"
        return _SignedIn(headers, host, describe, profile)

    def _check(self) -> None:
        """Check what is known without the SDK, and conflicts that it would resolve silently."""
        if self._profile:
            origin = self._given_host.origin if self._given_host else None
            profile = read_profile(self._profile, self._environ)
            self._secrets.add(*(profile.get(name) for name in SECRET_KEYS))
            check_profile(self._profile, profile, origin, self._token)
            return
        if self._given_host or self._is_set(*_INSIDE_DATABRICKS, "DATABRICKS_AZURE_RESOURCE_ID"):
            return
        if self._token or self._is_set(*SIGN_IN_VARIABLES):
            names = "DATABRICKS_TOKEN" if self._token else "A way to sign in"
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED,
                f"{names} is set, but not which workspace it is for.",
                "Set DATABRICKS_HOST to the workspace's address as well.",
            )
        if not config_path(self._environ).exists():
            raise no_workspace()

    def _build(self) -> "Config":
        contain_children(self._timeout)
        if not self._verbose:
            # It warns about every guess; relevant problems are returned as errors.
            logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
        from databricks.sdk.core import Config

        return Config(
            **self._sources({attribute.name for attribute in Config.attributes()}),
            product="databricks-responses-mcp",
            product_version=__version__,
            # Both are for the first request, which finds the kind of host. It may get no answer.
            http_timeout_seconds=min(10.0, self._timeout / 4),
            retry_timeout_seconds=max(1, min(3, int(self._timeout / 20))),
        )

    def _sources(self, known: Collection[str]) -> dict[str, Any]:
        """Return the arguments for the SDK: host, token and profile.

        It reads the file of profiles only as plain UTF-8: for another encoding, the content of the profile is passed.

        Args:
            known: the names that the SDK reads in a profile.
        """
        given: dict[str, Any] = {"host": self._given_host.origin if self._given_host else None, "token": self._token}
        name = self._profile or (None if self._given_host else _DEFAULT)
        try:
            file = read_config_file(self._environ)
        except (FileNotFoundError, BridgeError):
            # Problems of the file are reported elsewhere, where it is needed.
            return {**given, "profile": self._profile}
        if file.is_plain or name is None or name not in file.profiles:
            return {**given, "profile": self._profile}
        told = {key: value for key, value in file.profiles[name].items() if key in known and value.strip()}
        # DATABRICKS_CONFIG_PROFILE would make it read the file anyway: so it gets a path without a file.
        told["config_file"] = str(Path(os.devnull) / "none")
        return {**told, **{key: value for key, value in given.items() if value is not None}}

    def _host_of(self, config: "Config") -> WorkspaceHost:
        given = self._given_host
        if given is None:
            if not config.host:
                raise BridgeError(
                    ErrorCode.NOT_CONFIGURED,
                    "There is a way to sign in, but no workspace to sign in to.",
                    "Set DATABRICKS_HOST, or put `host = …` in the profile.",
                )
            profile = self._profile_of(config)
            given = normalise_host(config.host) if profile is None else host_of_profile(profile, config.host)
        # Older versions of the SDK do not know workspace ids.
        return WorkspaceHost(given.origin, given.workspace_id or getattr(config, "workspace_id", None) or None)

    def _profile_of(self, config: "Config") -> str | None:
        profile = self._profile or config.profile
        if profile is None and self._given_host is None and config_path(self._environ).exists():
            return _DEFAULT
        return profile

    # The functions below run on the event loop.

    def _explained(self, error: BaseException) -> BridgeError:
        kind = self._environ.get("DATABRICKS_AUTH_TYPE", "").strip() or self._profiles_kind(error)
        if self._profile:
            target = f"--profile {self._profile}"
        else:
            target = f"--host {self._given_host.origin}" if self._given_host else ""
        program = _PROGRAMS.get(kind)
        return sign_in_error(
            error,
            target=target,
            profile=self._profile or "",
            kind=kind,
            environ=self._environ,
            missing_program=program is not None and shutil.which(program) is None,
        )

    def _profiles_kind(self, error: BaseException) -> str:
        """Return the kind of sign-in that the SDK read from the profile: its message ends with its configuration."""
        found = f"{error}".partition("auth_type=")[2]
        return found.split(",")[0].split(". ")[0].strip() if found else ""

    def _is_set(self, *names: str) -> bool:
        return any(self._environ.get(name, "").strip() for name in names)

    def __repr__(self) -> str:
        return f"SdkCredentials({self.describe!r})"
