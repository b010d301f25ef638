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
from databricks_responses_mcp.schemas.validation_result import CPU_SECONDS, SchemaCheck, Verdict

WALL_SECONDS = 30.0
"""The deadline of a check, in seconds; long enough for a busy machine."""

_TOO_MUCH = SchemaCheck(Verdict.LIMIT_EXCEEDED, f"checking with it takes more than {CPU_SECONDS} s")


async def check_schema(schema: Mapping[str, Any], limiter: anyio.CapacityLimiter | None = None) -> SchemaCheck:
    """Check whether a value is a valid JSON Schema.

    Args:
        schema: a schema within the limits, see `find_exceeded_limit`.
        limiter: limits the number of concurrent checks.
    """
    return await _run({"schema": schema}, limiter)


async def check_values(
    schema: Mapping[str, Any], values: Sequence[Any], limiter: anyio.CapacityLimiter | None = None
) -> SchemaCheck:
    """Find the first of several JSON values that matches a schema; for the other arguments see `check_schema`."""
    return await _run({"schema": schema, "values": values}, limiter)


async def _run(request: dict[str, Any], limiter: anyio.CapacityLimiter | None) -> SchemaCheck:
    content = await anyio.to_thread.run_sync(lambda: json.dumps(request).encode())
    checker = "databricks_responses_mcp.schemas.validation_program"
    written = await run_bounded(checker, content, wall_seconds=WALL_SECONDS, limiter=limiter)
    if written is None:
        return _TOO_MUCH  # ended by the limit of its processor time, its memory or the clock
    answer = json.loads(written)
    return SchemaCheck(Verdict(answer["verdict"]), answer["problem"], answer["number"])
