"""The workspace of one command: the configured one, or one started for it."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from databricks_responses_mcp.cli.options import SessionOptions
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.workspace.settings import Settings, load_settings


def settings_of(options: SessionOptions) -> Settings:
    """The settings of a command.

    Raises:
        BridgeError: ``invalid_argument``, naming every wrong one.
    """
    return load_settings(os.environ, options.overrides)


@asynccontextmanager
async def open_session(settings: Settings, options: SessionOptions) -> AsyncIterator[Bridge]:
    """The workspace that the options name; an embedded one runs as long as the context.

    Raises:
        BridgeError: if the embedded workspace cannot be started.
    """
    if not options.embedded:
        async with open_bridge(settings) as bridge:
            yield bridge
        return
    # Imported here: the embedded workspace brings a web server along.
    from databricks_responses_mcp.emulator.engines.choose import choose_engine
    from databricks_responses_mcp.emulator.engines.progress import stderr_progress
    from databricks_responses_mcp.emulator.server import run_emulator

    with stderr_progress() as progress:
        chosen = choose_engine(options.engine, progress=progress)
        print(f"databricks-responses-mcp: {chosen.note}", file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal
        async with run_emulator(engine=chosen.engine) as emulator:
            local = settings.model_copy(
                update={"host": emulator.host, "token": SecretStr(emulator.token), "profile": None}
            )
            environ = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
            async with open_bridge(local, environ) as bridge:
                yield bridge
