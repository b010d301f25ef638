"""Generating images: the ``image_generation`` tool of the Responses API, one request for each image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import anyio

from databricks_responses_mcp.errors import Action, Advice, AdviceWords, BridgeError, ErrorCode, quoted
from databricks_responses_mcp.responses.output import pictures_of
from databricks_responses_mcp.responses.request import Prompt, build_request
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation, check_nothing_waits
from databricks_responses_mcp.turns.outcome import Outcome, add_usage
from databricks_responses_mcp.turns.pipeline import RequestParts, send_metered, send_without_refused_parts
from databricks_responses_mcp.turns.usage import TurnUsage

_TYPE = "image_generation"
_PREVIEWS = 2
"""Previews to request when progress is shown; each costs output tokens, so none are requested otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The request of a caller for images. None means not given, and is not sent.

    Attributes:
        prompt: what to draw, or what to change in ``images``.
        model: the serving endpoint; None uses the default for images.
        count: the number of images; each has its own request, sent concurrently.
        images: reference images as URLs, ``data:`` or ``https:``.
        mask: an image URL whose transparent parts mark the area to change.
        extra: further fields of the ``image_generation`` tool, verbatim.
        conversation_id: an earlier conversation to continue: the model sees its images.
    """

    prompt: str
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    count: int = 1
    images: Sequence[str] = ()
    mask: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """The outcomes of the successful requests, and the errors of the others."""

    outcomes: list[Outcome]
    errors: list[BridgeError]

    def structured(self, words: AdviceWords) -> dict[str, Any]:
        """Return the fields of the result for all requests together; failed ones are in ``notes``.

        Args:
            words: renders the advice of their errors.
        """
        structured = self.outcomes[0].as_dict()
        for outcome in self.outcomes[1:]:
            other = outcome.as_dict()
            structured["text"] = "\n\n".join(text for text in (structured["text"], other["text"]) if text)
            structured["output"] = [*structured.get("output", []), *other.get("output", [])]
            structured["usage"] = add_usage(structured.get("usage"), other.get("usage"))
        for error in self.errors:
            structured["usage"] = add_usage(structured.get("usage"), error.partial.get("usage"))
        if self.errors:
            structured["notes"] = [
                *structured.get("notes", []),
                *(f"An image failed: {error.text(words)}" for error in self.errors),
            ]
            structured["errors"] = [error.as_dict(words) for error in self.errors]
        return {key: value for key, value in structured.items() if value or key == "text"}


async def draw(bridge: Bridge, drawing: Drawing, call: CallContext) -> Drawn:
    """Request the images; ``call.take_image`` receives each as soon as it is complete.

    Raises:
        BridgeError: ``invalid_argument`` for an ``extra`` that would change the type of the tool; the first error, if
            no request returned an image.
    """
    if drawing.extra.get("type", _TYPE) != _TYPE:
        # It could be an MCP server that the user has not approved.
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"`extra` has the type {quoted(drawing.extra['type'])}: only fields of the {_TYPE} tool are accepted.",
            "Leave type out.",
            advice=(Advice(Action.ASK, "other tools"),),
        )
    if bridge.policy is not None:
        bridge.policy.check_pictures(drawing.count)
    if drawing.conversation_id is None:
        async with call.deadline.bounds("choosing a model"):
            model = drawing.model or bridge.settings.image_model or await bridge.endpoints.default_image_model()
        conversation = bridge.conversations.new(model, {})
        async with conversation.turn:
            return await _draw_in(bridge, conversation, drawing, call)
    async with bridge.conversations.turn_of(drawing.conversation_id) as conversation:
        check_nothing_waits(conversation)
        async with conversation.as_it_was_on_failure():
            conversation.endpoint = drawing.model or conversation.endpoint
            return await _draw_in(bridge, conversation, drawing, call)


async def _draw_in(bridge: Bridge, conversation: Conversation, drawing: Drawing, call: CallContext) -> Drawn:
    """Request the images in a conversation; all become one turn of it. The caller holds the conversation's turn."""
    model = conversation.endpoint
    parameters = {
        "tools": [_tool(drawing, previews=_PREVIEWS if call.reporter is not None else 0)],
        "tool_choice": {"type": _TYPE},
    }
    said = Prompt(text=drawing.prompt, images=drawing.images).items()
    outcomes: dict[int, Outcome] = {}
    errors: dict[int, BridgeError] = {}

    async def one(number: int) -> None:
        label = model if drawing.count == 1 else f"picture {number + 1} of {drawing.count}"
        try:
            outcome = await send_without_refused_parts(
                bridge,
                RequestParts(conversation=conversation, parameters=parameters),
                lambda history, sent: send_metered(
                    bridge,
                    build_request(model, [*history, *said], sent),
                    replace(call, progress_label=label),
                    conversation_id=conversation.conversation_id,
                    turn_usage=turn_usage if drawing.count == 1 else None,
                ),
            )
            if not pictures_of(outcome.items):
                raise _no_picture(outcome)
            if all(item.get("picture") is None for item in pictures_of(outcome.items)):
                raise _failed_picture(outcome)
            outcomes[number] = outcome
        except BridgeError as error:
            errors[number] = error.with_traceback(None)

    # Of several images, the first are paid for long before the turn is stored: their usage is recorded immediately.
    async with TurnUsage(bridge.token_budget, conversation) as turn_usage:
        async with anyio.create_task_group() as tasks:
            for number in range(drawing.count):
                tasks.start_soon(one, number)
        drawn = Drawn([outcomes[n] for n in sorted(outcomes)], [errors[n] for n in sorted(errors)])
        if not drawn.outcomes:
            raise drawn.errors[0]
        whole = reduce(Outcome.merge, drawn.outcomes)
        conversation.add(said, whole)
        notes = await bridge.conversations.keep(conversation)
    first = drawn.outcomes[0]
    drawn.outcomes[0] = replace(first, conversation_id=conversation.conversation_id, notes=(*first.notes, *notes))
    return drawn


def _tool(drawing: Drawing, *, previews: int) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": _TYPE}
    for name in ("size", "quality", "background", "output_format", "output_compression"):
        value = getattr(drawing, name)
        if value is not None:
            tool[name] = value
    if drawing.mask is not None:
        tool["input_image_mask"] = {"image_url": drawing.mask}
    tool |= drawing.extra
    # The API has no previews of GIFs and refuses to make them.
    if previews and tool.get("output_format") != "gif":
        tool.setdefault("partial_images", previews)
    return tool


def _no_picture(outcome: Outcome) -> BridgeError:
    """Return the error for an answer without an image: some endpoints ignore a hosted tool that they do not know."""
    partial = outcome.as_dict()
    if outcome.refusal or outcome.incomplete_reason == "content_filter":
        return BridgeError(
            ErrorCode.CONTENT_FILTERED,
            f"{outcome.endpoint} declined to draw this.",
            "Word the prompt differently.",
            partial=partial,
        )
    said = f" It said: {outcome.text[:300]}" if outcome.text else ""
    return BridgeError(
        ErrorCode.UNSUPPORTED_BY_MODEL,
        f"{outcome.endpoint} answered without an image.{said}",
        "Use a model of the workspace that generates images.",
        partial=partial,
        advice=(Advice(Action.LIST_MODELS),),
    )


def _failed_picture(outcome: Outcome) -> BridgeError:
    reason = next((str(item["error"])[:300] for item in pictures_of(outcome.items) if item.get("error")), "")
    return BridgeError(
        ErrorCode.UPSTREAM_ERROR,
        f"{outcome.endpoint} began an image and did not finish it.{f' It said: {reason}' if reason else ''}",
        "Ask again, or word the prompt differently.",
        retryable=True,
        partial=outcome.as_dict(),
    )
