"""Validation with a caller's schema in a separate process.

A schema of a few lines can take practically unlimited time: references that double, ``uniqueItems`` for thousands of
objects, patterns.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import anyio.to_thread

from databricks_responses_mcp.bounded_process import run_bounded
from databricks_responses_mcp.schemas.verdict import CPU_SECONDS, Checked, Verdict

WALL_SECONDS = 30.0
"""The deadline of a check, in seconds; long enough for a busy machine."""

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
    checker = "databricks_responses_mcp.schemas.checker"
    written = await run_bounded(checker, content, wall_seconds=WALL_SECONDS, limiter=limiter)
    if written is None:
        return _TOO_MUCH  # ended by the limit of its processor time, its memory or the clock
    answer = json.loads(written)
    return Checked(Verdict(answer["verdict"]), answer["problem"], answer["number"])
