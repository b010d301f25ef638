"""Validation with a caller's schema in a separate process.

A schema of a few lines can take practically unlimited time: references that double, ``uniqueItems`` for thousands of
objects, patterns. A thread could not be ended and would hold the interpreter lock. The process has limits and can be
ended.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import anyio
import anyio.to_thread

from databricks_responses_mcp.schemas.verdict import CPU_SECONDS, Checked, Verdict

WALL_SECONDS = 30.0
"""The deadline of a check, in seconds; long enough for a busy machine."""

if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW
else:
    _CREATION_FLAGS = 0
_PASSED_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")
_TOO_MUCH = Checked(Verdict.LIMIT, f"checking with it takes more than {CPU_SECONDS} s")


async def check_schema(schema: Mapping[str, Any], limiter: anyio.CapacityLimiter | None = None) -> Checked:
    """Check whether a value is a valid JSON Schema.

    Args:
        schema: a schema within the limits, see `bounds_problem`.
        limiter: limits the number of concurrent checks.
    """
    return await _run({"schema": schema}, limiter)


async def check_values(
    schema: Mapping[str, Any], values: Sequence[Any], limiter: anyio.CapacityLimiter | None = None
) -> Checked:
    """Find the first of several JSON values that matches a schema; the other arguments are those of `check_schema`."""
    return await _run({"schema": schema, "values": values}, limiter)


async def _run(request: dict[str, Any], limiter: anyio.CapacityLimiter | None) -> Checked:
    content = await anyio.to_thread.run_sync(lambda: json.dumps(request).encode())
    waiting: AbstractAsyncContextManager[Any] = limiter if limiter is not None else nullcontext()
    try:
        async with waiting:
            with anyio.fail_after(WALL_SECONDS):
                done = await anyio.run_process(
                    # -P: do not import from the working directory.
                    [sys.executable, "-P", "-m", "databricks_responses_mcp.schemas.checker"],
                    input=content,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    env={name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ},
                    creationflags=_CREATION_FLAGS,
                )
    except (TimeoutError, OSError):
        return _TOO_MUCH
    if done.returncode != 0:
        return _TOO_MUCH  # ended by the limit of its CPU time or memory
    answer = json.loads(done.stdout)
    return Checked(Verdict(answer["verdict"]), answer["problem"], answer["number"])
