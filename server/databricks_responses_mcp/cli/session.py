"""The workspace of one command: the configured one, or one that is started for it."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio
from pydantic import SecretStr

from databricks_responses_mcp.cli.logs import configure_logging
from databricks_responses_mcp.cli.session_options import SessionOptions
from databricks_responses_mcp.cli.wrapping import wrapped
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.workspace.settings import Settings, forget_unfilled, load_settings

if TYPE_CHECKING:
    from databricks_responses_mcp.turns.observation import Observer

_SWEEP_SECONDS = 2.0


@runtime_checkable
class Startable(Protocol):
    """An engine that must be started."""

    async def start(self) -> None:
        """Download what is missing and start the engine, unless it runs."""
        ...


def settings_of(options: SessionOptions) -> Settings:
    """Read the settings of a command; ``--profile`` replaces variables that name another way to sign in.

    Raises:
        BridgeError: ``invalid_argument``, naming every invalid one.
    """
    forget_unfilled(os.environ)
    for name in replaced_by_profile(options, os.environ):
        # Of this process, not only of the settings: the Databricks SDK and the programs that it starts read them too.
        del os.environ[name]
    return load_settings(os.environ, options.overrides, options.secrets)


def replaced_by_profile(options: SessionOptions, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an option ``--profile`` replaces, with their values."""
    if not options.overrides.get("profile"):
        return {}
    return {name: environ[name] for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN") if environ.get(name, "").strip()}


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace of a command.

    Attributes:
        settings: they name it.
        environ: the environment that credentials are read from.
    """

    settings: Settings
    environ: Mapping[str, str]


@asynccontextmanager
async def open_session(
    settings: Settings,
    options: SessionOptions,
    *,
    start_engine: bool = False,
    announced: str = "",
    on_demand: bool = False,
    observer: "Observer | None" = None,
) -> AsyncIterator[Bridge]:
    """Open the workspace that the options name; an embedded one runs as long as the context.

    Args:
        start_engine: whether to download and start the engine of an embedded workspace now, not at the first question.
        announced: the message about an embedded workspace, instead of the name of its engine.
        on_demand: whether an embedded workspace may start later, at the latest when the first request arrives.
        observer: observes the requests to models.

    Raises:
        BridgeError: if the embedded workspace cannot be started.
    """
    opening = (
        _workspace_on_demand(settings, options)
        if options.embedded and on_demand
        else open_workspace(settings, options, start_engine=start_engine, announced=announced)
    )
    async with (
        opening as workspace,
        open_bridge(workspace.settings, workspace.environ, observer=observer) as bridge,
    ):
        yield bridge


@asynccontextmanager
async def open_workspace(
    settings: Settings, options: SessionOptions, *, start_engine: bool = False, announced: str = ""
) -> AsyncIterator[Workspace]:
    """Yield the workspace that the options name; see `open_session`."""
    if not options.embedded:
        yield Workspace(settings, os.environ)
        return
    # Imported here: the embedded workspace imports a web server.
    from databricks_workspace_emulator.engines.choose import choose_engine
    from databricks_workspace_emulator.engines.progress import stderr_progress
    from databricks_workspace_emulator.server import run_emulator

    with stderr_progress() as progress:
        chosen = choose_engine(options.engine, progress=progress)
        _announce(announced or chosen.note)
        async with run_emulator(engine=chosen.engine) as emulator:
            if start_engine and isinstance(chosen.engine, Startable):
                await chosen.engine.start()
            yield _embedded(settings, emulator.host, emulator.token)


@asynccontextmanager
async def _workspace_on_demand(settings: Settings, options: SessionOptions) -> AsyncIterator[Workspace]:
    """Yield an embedded workspace that starts when a request arrives, or soon: a host waits for the list of tools.

    Raises:
        BridgeError: ``invalid_argument`` or ``not_configured`` for an engine that cannot be used.
    """
    from databricks_workspace_emulator.engines.base import Engine
    from databricks_workspace_emulator.engines.choose import engine_choice
    from databricks_workspace_emulator.engines.progress import stderr_progress
    from databricks_workspace_emulator.on_demand import run_on_demand

    with stderr_progress() as progress:
        choose = engine_choice(options.engine, progress=progress)

        def engine() -> Engine:
            chosen = choose()
            _announce(chosen.note)
            return chosen.engine

        async with run_on_demand(engine) as address:
            yield _embedded(settings, address.host, address.token)


def _announce(note: str) -> None:
    # On a terminal the lines are wrapped.
    text = wrapped(f"databricks-responses-mcp: {note}", sys.stderr)
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal


def _embedded(settings: Settings, host: str, token: str) -> Workspace:
    """Return an embedded workspace, to which nothing of the environment applies."""
    local = settings.model_copy(update={"host": host, "token": SecretStr(token), "profile": None})
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
    return Workspace(local, environ)


async def forget_what_is_old(bridge: Bridge) -> None:
    """Delete what exceeds the store's settings, if these are set explicitly.

    The defaults are not applied: the server of a host with the same store may be configured to keep more. The command
    waits at most two seconds; the next one, or a server, deletes the rest.
    """
    if bridge.settings.model_fields_set & {"store_days", "store_max_bytes"}:
        # Imported here: a server that starts over stdio needs no store yet.
        from databricks_responses_mcp.turns.retention import sweep_store

        with anyio.move_on_after(_SWEEP_SECONDS):
            await sweep_store(bridge.store, bridge.settings)


def settings_for_terminal(options: SessionOptions) -> Settings:
    """Return the settings of a command for people, and configure its logs: warnings as text, unless more was requested.

    Raises:
        BridgeError: ``invalid_argument``, naming every invalid one.
    """
    # Imported here: a server that starts without an option needs nothing of click.
    from databricks_responses_mcp.cli.printing import prepare_streams

    settings = settings_of(options)
    given = settings.model_fields_set
    configure_logging(
        settings.log_level if "log_level" in given else "WARNING",
        settings.log_format if "log_format" in given else "text",
    )
    prepare_streams()
    return settings
