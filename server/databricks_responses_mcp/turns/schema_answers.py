"""Answers that must fit a JSON Schema: asked for, checked, and mended once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.request import Prompt
from databricks_responses_mcp.schemas.bounds import bounds_problem
from databricks_responses_mcp.schemas.checking import check_schema, check_values
from databricks_responses_mcp.schemas.verdict import Verdict
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.clock import Clock
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.converse import Watch, take_turn
from databricks_responses_mcp.turns.joining import joined, keep_before
from databricks_responses_mcp.turns.outcome import Outcome

_NAME = "answer"


class SchemaUnusableError(ValueError):
    """The schema itself is at fault, not the answer."""


async def check_output_schema(bridge: Bridge, schema: Mapping[str, Any]) -> None:
    """See that answers can be checked with it, before anything is paid for.

    Raises:
        BridgeError: ``invalid_argument`` if it is no JSON Schema, too large, or refers to anything outside itself.
    """
    if problem := bounds_problem(schema):
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"output_schema {problem}.", "Use a simpler schema.")
    if foreign := _foreign_reference(schema):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"output_schema refers to {foreign[:200]!r}, outside itself: nothing is fetched for a schema.",
            "Put what it refers to under $defs, and refer to it as #/$defs/….",
        )
    checked = await check_schema(schema, bridge.schema_checks)
    if checked.verdict is Verdict.NO_SCHEMA:
        message = f"output_schema is not a JSON Schema: {checked.problem}."
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, message, "Correct the schema.")
    if checked.verdict is not Verdict.FITS:
        message = f"output_schema cannot be used: {checked.problem}."
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, message, "Use a simpler schema.")


def text_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The ``text.format`` that asks for the schema; ``strict`` where the schema is of the kind that strict takes."""
    return {"type": "json_schema", "name": _NAME, "schema": dict(schema), "strict": _is_strict(schema)}


async def fit_to_schema(
    bridge: Bridge,
    conversation: Conversation,
    outcome: Outcome,
    schema: Mapping[str, Any],
    *,
    watch: Watch,
    deadline_seconds: float,
) -> Outcome:
    """The outcome with ``parsed``; an answer that does not fit is sent back once with what is wrong.

    An answer that was cut off, refused, or waits for calls is returned as it is.

    Raises:
        BridgeError: ``upstream_error``, the text kept, if the second answer does not fit either.
    """
    clock = Clock(deadline_seconds)
    for last in (False, True):
        if outcome.status != "completed" or outcome.refusal or outcome.pending_calls:
            return outcome
        try:
            return replace(outcome, parsed=(await _parse(bridge, outcome.text, schema),))
        except SchemaUnusableError as error:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"output_schema cannot be used to check an answer: {error}.",
                "Correct the schema; the answer is kept in this result.",
                partial=outcome.as_dict(),
            ) from error
        except ValueError as error:
            if last:
                raise BridgeError(
                    ErrorCode.UPSTREAM_ERROR,
                    f"{outcome.endpoint} answered twice without fitting output_schema: {error}.",
                    "Use a simpler schema, or a model with structured outputs; the text is kept in this result.",
                    retryable=True,
                    partial=outcome.as_dict(),
                ) from error
            said = Prompt(
                text=f"Your answer does not fit the JSON Schema: {error}. Answer again, with only JSON that fits it."
            ).items()
            try:
                mended = await take_turn(bridge, conversation, said, watch=watch, deadline_seconds=clock.left)
            except BridgeError as failed:
                raise keep_before(failed, outcome) from failed
            # What the first answer cost and did is part of the result; its words are replaced.
            outcome = replace(joined(outcome, mended), text=mended.text, citations=mended.citations)
    return outcome


async def _parse(bridge: Bridge, text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON value of an answer that fits.

    Raises:
        ValueError: saying in one line what is wrong.
    """
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```"):
        # Models without structured outputs like to fence their JSON.
        bare = bare.strip("`").removeprefix("json").strip()
    try:
        value = json.loads(bare, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    return (await _first_fitting(bridge, [value], schema))[0]


async def _first_fitting(bridge: Bridge, values: Sequence[Any], schema: Mapping[str, Any]) -> tuple[Any, int]:
    """The first of the values that fits, and its place among them.

    Raises:
        ValueError: why none does, of the first one in one line; `SchemaUnusableError` if that is the schema's fault.
    """
    checked = await check_values(schema, values, bridge.schema_checks)
    if checked.verdict is Verdict.FITS:
        return values[checked.number], checked.number
    raise ValueError(checked.problem) if checked.verdict is Verdict.MISFIT else SchemaUnusableError(checked.problem)


def _foreign_reference(schema: Any) -> str | None:
    """The first reference that leads out of the schema, if there is one."""
    if isinstance(schema, list):
        return next(filter(None, map(_foreign_reference, schema)), None)
    if not isinstance(schema, Mapping):
        return None
    for key in ("$ref", "$dynamicRef"):
        target = schema.get(key)
        if isinstance(target, str) and not target.startswith("#"):
            return target
    return next(filter(None, map(_foreign_reference, schema.values())), None)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _is_strict(schema: Any) -> bool:
    """Whether every object closes its properties and requires them all, as ``strict`` demands."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", [])) != set(properties):
            return False
        if not all(map(_is_strict, properties.values())):
            return False
    return all(
        _is_strict(value) for key, value in schema.items() if key not in ("properties", "enum", "const", "default")
    )
