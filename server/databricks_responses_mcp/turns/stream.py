"""One request and its streamed answer, with a deadline and progress; a failure keeps what has arrived."""

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode, convert_exceptions
from databricks_responses_mcp.responses.accumulator import ResponseAssembler, picture_base64
from databricks_responses_mcp.responses.echoed_input import input_marks, without_echo
from databricks_responses_mcp.responses.output import pictures_of
from databricks_responses_mcp.turns.background import read_background, run_in_background
from databricks_responses_mcp.turns.background_response import BackgroundResponse
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.ignored_tools import ignored_tools_note
from databricks_responses_mcp.turns.outcome import Outcome, interrupted, outcome_of
from databricks_responses_mcp.turns.progress import TurnProgress
from databricks_responses_mcp.workspace.api_errors import event_error
from databricks_responses_mcp.workspace.event_stream import EventStream
from databricks_responses_mcp.workspace.http import OnWait, WorkspaceClient
from databricks_responses_mcp.workspace.surfaces.surface import Reader, Surface
from databricks_responses_mcp.workspace.surfaces.table import RESPONSES

_OF_ANSWERS = frozenset({"type", "object", "output", "choices"})
"""Fields of which an answer of a language model, or a part of one, has at least one."""


async def send_one_stream(
    client: WorkspaceClient,
    body: Mapping[str, Any],
    call: CallContext,
    *,
    surface: Surface = RESPONSES,
    model: str | None = None,
    background: BackgroundResponse | None = None,
) -> Outcome:
    """Send ``body`` and read the answer to its end.

    Args:
        surface: the path of ``body``, and how the answer is read.
        model: the requested serving endpoint, if the body does not name it.
        background: the response that an earlier process began for the body: it is read, and nothing is sent.

    Raises:
        BridgeError: for every failure; ``partial`` has what had arrived. ``cancelled``, if it was stopped before the
            first text.
    """
    assembler = ResponseAssembler()
    endpoint = model or str(body["model"])
    call.partial.add(assembler, endpoint)
    stop, seconds = call.stop, call.deadline.seconds_left
    failure: BridgeError | None = None
    # Whatever fails, the received content may have been paid for: every exception becomes an error with that content.
    reading = f"Reading the answer of {endpoint}"
    with anyio.move_on_after(seconds) as scope:
        try:
            if call.reporter is None and stop is None:
                with convert_exceptions(reading):
                    await _read_answer(client, body, surface, endpoint, assembler, call, None, background)
            else:
                progress = (
                    TurnProgress(call.reporter, assembler, call.progress_label or endpoint)
                    if call.reporter is not None
                    else None
                )
                # An exception must not leave a task group, which would wrap it in a group.
                async with anyio.create_task_group() as tasks:
                    if progress is not None:
                        tasks.start_soon(progress.run)
                    if stop is not None:
                        tasks.start_soon(_cancel_when, stop, tasks.cancel_scope)
                    try:
                        with convert_exceptions(reading):
                            await _read_answer(client, body, surface, endpoint, assembler, call, progress, background)
                    except BridgeError as error:
                        failure = error.with_traceback(None)
                    tasks.cancel_scope.cancel()
        except BridgeError as error:
            failure = error.with_traceback(None)
    if scope.cancelled_caught and not assembler.finished:
        failure = BridgeError(
            ErrorCode.TIMEOUT,
            f"{endpoint} gave no whole answer within {seconds:.0f} s.",
            "This result contains what had arrived. Ask for less at once, or raise RESPONSES_MCP_TIMEOUT_SECONDS "
            "(and the host's own limit for tool calls).",
            retryable=True,
        )
    result = assembler.result()
    if surface.echoes:
        marks = input_marks(body.get("input")) if background is None else background.input_marks
        result = replace(result, output=without_echo(result.output, marks))
    outcome = outcome_of(result, endpoint)
    if (note := ignored_tools_note(body, result)) is not None:
        outcome = replace(outcome, notes=(*outcome.notes, note))
    if failure is None and stop is not None and stop.is_set() and not assembler.finished:
        return interrupted(outcome)
    try:
        with convert_exceptions(reading):
            failure = failure or _failure_of(assembler, outcome)
    except BridgeError as error:
        failure = error.with_traceback(None)
    if failure is not None:
        received = outcome.as_dict() if assembler.events else {}
        raise failure.with_partial({**received, **failure.partial}) from failure
    return outcome


async def _cancel_when(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


async def _read_answer(
    client: WorkspaceClient,
    body: Mapping[str, Any],
    surface: Surface,
    model: str,
    assembler: ResponseAssembler,
    call: CallContext,
    progress: TurnProgress | None,
    background: BackgroundResponse | None,
) -> None:
    """Send the request and read its answer into ``assembler``; again after a stream that contained only a refusal."""
    on_wait: OnWait | None = progress.waiting if progress is not None else None
    if background is not None or (surface.has_background and body.get("background") is True):
        if progress is not None:
            await progress.opened()
        if background is not None:
            assembler.feed(await read_background(client, background, surface=surface, job=call.job))
            return
        marks = input_marks(body.get("input")) if surface.echoes else ()
        response = await run_in_background(
            client, body, surface=surface, model=model, input_marks=marks, job=call.job, on_wait=on_wait
        )
        assembler.feed(response)
        return
    retries = 0
    while True:
        async with client.responses(
            body,
            model=model,
            path=surface.path(model),
            is_gateway=surface.is_gateway,
            is_app=surface.key == "app",
            on_wait=on_wait,
        ) as stream:
            if progress is not None:
                await progress.opened()
            await _feed(assembler, stream, surface, model, call, progress)
        refusal = _refusal_of(assembler)
        wait = client.wait_after_stream_error(refusal, retries=retries) if refusal is not None else None
        if refusal is None or wait is None:
            break
        retries += 1
        assembler.restart()
        if on_wait is not None:
            await on_wait(refusal.code.value.replace("_", " "), wait)
        await anyio.sleep(wait)
    if call.take_image is not None and assembler.has_pictures:
        for image in pictures_of(assembler.result().output):
            if picture_base64(image) is not None:
                await call.take_image(image)


async def _feed(
    assembler: ResponseAssembler,
    stream: EventStream,
    surface: Surface,
    model: str,
    call: CallContext,
    progress: TurnProgress | None,
) -> None:
    """Read the events of an opened stream into ``assembler``, and report them."""
    async with aclosing(_arrivals(stream, surface, model)) as arrivals:
        async for events in arrivals:
            if call.on_events is not None:
                call.on_events()
            for event in events:
                previews = assembler.partial_images
                item = assembler.feed(event)
                if call.on_text is not None and (text := assembler.take_text()):
                    call.on_text(text)
                if progress is not None and assembler.partial_images != previews:
                    progress.preview()
                if item is not None and call.take_image is not None and picture_base64(item) is not None:
                    await call.take_image(item)
                if assembler.finished:
                    break
            if assembler.finished:
                await stream.drain()
                break
        else:
            assembler.end_of_stream(marked=stream.marked_end)
            if call.on_text is not None and (text := assembler.take_text()):
                call.on_text(text)
    assembler.malformed = stream.malformed


def _refusal_of(assembler: ResponseAssembler) -> BridgeError | None:
    """Return the error in a stream that contained nothing else: the request was refused, so it may be sent again."""
    if not assembler.is_empty:
        return None
    if assembler.error is not None:
        return event_error(assembler.error)
    result = assembler.result()
    return event_error(result.fields) if result.status == "failed" else None


async def _arrivals(stream: EventStream, surface: Surface, model: str) -> AsyncGenerator[Iterable[Any], None]:
    """Yield the events of an answer as they arrive, translated to those of the Responses API."""
    reader = None if surface.reader is None else surface.reader(model)
    async with aclosing(stream.arrivals()) as arrivals:
        async for received in arrivals:
            yield _translated(received, reader, model)
        if reader is not None:
            yield reader.finish(marked=stream.marked_end)


def _translated(received: Iterable[Any], reader: Reader | None, model: str) -> Iterator[Any]:
    for event in received:
        _check_is_answer(event, model)
        if reader is None:
            yield event
        else:
            yield from reader.feed(event)


def _check_is_answer(received: Any, model: str) -> None:
    """Refuse the answer of a custom model that uses no API of language models.

    Raises:
        BridgeError: ``unsupported_by_model``, with the prediction as its text, because it was paid for.
    """
    if not isinstance(received, dict) or "predictions" not in received or _OF_ANSWERS & received.keys():
        return
    predictions = received["predictions"]
    if isinstance(predictions, list) and all(isinstance(item, str) for item in predictions):
        text = "\n".join(predictions)
    else:
        text = json.dumps(predictions, ensure_ascii=False)
    raise BridgeError(
        ErrorCode.UNSUPPORTED_BY_MODEL,
        f'{model} answered {{"predictions": …}}: it is a custom model with its own schema, which supports neither '
        "the Responses API nor Chat Completions.",
        "Another request would get the same answer. Query it with its own schema (`databricks serving-endpoints "
        "query`), or log it again as a chat model or an agent (MLflow ChatModel, ResponsesAgent).",
        partial={"text": text, "status": "failed", "model": model, "endpoint": model},
    )


def _failure_of(assembler: ResponseAssembler, outcome: Outcome) -> BridgeError | None:
    """Return the failure that the stream itself reported."""
    if assembler.error is not None:
        return event_error(assembler.error)
    if outcome.status == "failed":
        return event_error(assembler.result().fields)
    if outcome.status == "cancelled":
        return BridgeError(ErrorCode.CANCELLED, "The workspace cancelled the response.", "Ask again.", retryable=True)
    if outcome.status == "cut":
        return BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            "The workspace ended the stream before the answer was whole.",
            "Ask again; this result contains what had arrived.",
            retryable=True,
        )
    return None
