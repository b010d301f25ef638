"""Answers that must match a JSON Schema: requested, validated, and requested once more if they do not match."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import anyio
import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.responses.json_in_text import parse, values_in
from databricks_responses_mcp.responses.request import Prompt
from databricks_responses_mcp.responses.strict_schema import NAME, answer_format, is_wrapped
from databricks_responses_mcp.schemas.bounds import find_exceeded_limit
from databricks_responses_mcp.schemas.validation import check_schema, check_values
from databricks_responses_mcp.schemas.validation_result import Verdict
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.outcome import Outcome, keep_before
from databricks_responses_mcp.turns.turn import take_turn

_PLACES = ("start_index", "end_index", "quote")
_MAX_CANDIDATES = 100
"""The maximum number of JSON values of one answer that are validated."""


class SchemaUnusableError(ValueError):
    """The schema itself cannot be used; the answer is not at fault."""


async def check_output_schema(bridge: Bridge, schema: Mapping[str, Any]) -> None:
    """Check that answers can be validated with the schema, before a request is paid for.

    Raises:
        BridgeError: ``invalid_argument`` if it is not a JSON Schema, too large, or has references outside itself.
    """
    if problem := find_exceeded_limit(schema):
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"output_schema {problem}.", "Use a simpler schema.")
    if foreign := _foreign_reference(schema):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"output_schema refers to {quoted(foreign)}, outside itself: nothing is fetched for a schema.",
            "Put what it refers to under $defs, and refer to it as #/$defs/….",
        )
    checked = await check_schema(schema, bridge.schema_checks)
    if checked.verdict is Verdict.INVALID_SCHEMA:
        message = f"output_schema is not a JSON Schema: {checked.problem}."
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, message, "Correct the schema.")
    if checked.verdict is not Verdict.MATCH:
        message = f"output_schema cannot be used: {checked.problem}."
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, message, "Use a simpler schema.")


def text_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``text.format`` for the schema: wrapped if its root is not a plain object, strict if possible."""
    return answer_format(schema)


async def fit_to_schema(
    bridge: Bridge,
    conversation: Conversation,
    outcome: Outcome,
    schema: Mapping[str, Any],
    call: CallContext,
) -> Outcome:
    """Return the outcome with ``parsed``; an answer that does not match is sent back once with the problem.

    An answer that was truncated, refused, or waits for calls is returned unchanged.

    Raises:
        BridgeError: ``upstream_error``, with the text, if the second answer does not match either.
    """
    for last in (False, True):
        if outcome.status != "completed" or outcome.refusal or outcome.pending_calls:
            return outcome
        try:
            return await _with_value(bridge, outcome, schema)
        except SchemaUnusableError as error:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"output_schema cannot be used to check an answer: {error}.",
                "Correct the schema; this result contains the answer.",
                partial=outcome.as_dict(),
            ) from error
        except ValueError as error:
            if last:
                raise BridgeError(
                    ErrorCode.UPSTREAM_ERROR,
                    f"{outcome.endpoint} answered twice without fitting output_schema: {error}.",
                    "Use a simpler schema, or a model with structured outputs; this result contains the text.",
                    retryable=True,
                    partial=outcome.as_dict(),
                ) from error
            said = Prompt(
                text=f"Your answer does not fit the JSON Schema: {error}. Answer again, with only JSON that fits it."
            ).items()
            try:
                corrected = await take_turn(bridge, conversation, said, call)
            except BridgeError as failed:
                raise keep_before(failed, outcome) from failed
            # The usage and items of the first answer are part of the result; its text is replaced.
            outcome = replace(outcome.merge(corrected), text=corrected.text, citations=corrected.citations)
    return outcome


async def _with_value(bridge: Bridge, outcome: Outcome, schema: Mapping[str, Any]) -> Outcome:
    """Return the outcome with the JSON value of its answer.

    Raises:
        ValueError: one line that says why the answer does not match.
    """
    value, was_wrapped = await _parse(bridge, outcome.text, schema)
    if not was_wrapped:
        return replace(outcome, parsed=(value,))
    # The bridge added the object around it; the caller did not ask for it.
    text = json.dumps(value, ensure_ascii=False)
    citations = [{key: note[key] for key in note if key not in _PLACES} for note in outcome.citations]
    return replace(outcome, parsed=(value,), text=text, citations=citations)


async def _parse(bridge: Bridge, text: str, schema: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return the JSON value of an answer that matches, and whether it was wrapped in the object that the bridge added.

    Raises:
        ValueError: one line that says what is wrong; `SchemaUnusableError` if the schema is the cause.
    """
    # In a thread: a long answer takes more than a few milliseconds.
    values, problem = await anyio.to_thread.run_sync(_values_of, text)
    candidates: list[tuple[Any, bool]] = []
    for value in values:
        if is_wrapped(schema) and isinstance(value, dict) and value.keys() == {NAME}:
            candidates.append((value[NAME], True))
        candidates.append((value, False))
    if not candidates:
        raise ValueError(problem)
    checked = await check_values(schema, [value for value, _ in candidates], bridge.schema_checks)
    if checked.verdict is Verdict.MATCH:
        return candidates[checked.number]
    raise ValueError(checked.problem) if checked.verdict is Verdict.NO_MATCH else SchemaUnusableError(checked.problem)


def _values_of(text: str) -> tuple[list[Any], str]:
    """Return the JSON values of an answer, the most likely first, and why the whole text is not one."""
    try:
        return [parse(text)], ""
    except ValueError as error:
        return list(islice(values_in(text), _MAX_CANDIDATES)), str(error)


def _foreign_reference(schema: Any) -> str | None:
    """Return the first reference outside the schema; None if there is none."""
    if isinstance(schema, list):
        return next(filter(None, map(_foreign_reference, schema)), None)
    if not isinstance(schema, Mapping):
        return None
    for key in ("$ref", "$dynamicRef"):
        target = schema.get(key)
        if isinstance(target, str) and not target.startswith("#"):
            return target
    return next(filter(None, map(_foreign_reference, schema.values())), None)
