"""Asking a model: which endpoint, which parameters, one exchange."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.request import RESERVED, Prompt, RequestOptions, build_parameters, build_request
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.exchange import TakePicture, exchange
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.progress import Reporter
from databricks_responses_mcp.workspace.policy import check_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a caller asks of a model. None means not given.

    Attributes:
        prompt: the words, the content of files already in them.
        model: the serving endpoint; None takes the default.
        images: image URLs, ``data:`` or ``https:``.
        extra: further parameters of the Responses API, verbatim.
    """

    prompt: str
    model: str | None = None
    instructions: str | None = None
    images: Sequence[str] = ()
    reasoning_effort: str | None = None
    verbosity: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


_NAMED = ("instructions", "max_output_tokens", "temperature", "top_p")


async def ask(
    bridge: Bridge,
    question: Question,
    *,
    reporter: Reporter | None = None,
    on_text: Callable[[str], None] | None = None,
    take_picture: TakePicture | None = None,
    deadline_seconds: float | None = None,
) -> Outcome:
    """Ask, and read the whole answer.

    Raises:
        BridgeError: for every failure, by the error contract.
    """
    check_extra(question)
    model = question.model or bridge.settings.model or await bridge.endpoints.default_text_model()
    extra = await permitted(bridge, model, question.extra)
    body = build_request(
        model,
        Prompt(text=question.prompt, images=question.images).items(),
        build_parameters(
            RequestOptions(
                instructions=question.instructions,
                reasoning_effort=question.reasoning_effort,
                verbosity=question.verbosity,
                max_output_tokens=_max_output_tokens(bridge, question),
                temperature=question.temperature,
                top_p=question.top_p,
                extra=extra,
            )
        ),
    )
    return await exchange(
        bridge.client,
        body,
        deadline_seconds=deadline_seconds or bridge.settings.timeout_seconds,
        reporter=reporter,
        on_text=on_text,
        take_picture=take_picture,
    )


def check_extra(question: Question) -> None:
    """Refuse what ``extra`` may not carry.

    Raises:
        BridgeError: ``invalid_argument``.
    """
    if reserved := sorted(RESERVED & question.extra.keys()):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"`extra` may not contain {', '.join(f'`{name}`' for name in reserved)}: the bridge sets these itself.",
            "Use the arguments `model`, `prompt`, `images` and `files`.",
        )
    twice = [name for name in _NAMED if getattr(question, name) is not None and name in question.extra]
    if twice:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{', '.join(f'`{name}`' for name in twice)} is given both as an argument and in `extra`.",
            "Give it once.",
        )


async def permitted(bridge: Bridge, model: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters as they may be sent to the endpoint. Asks the workspace nothing when there are none.

    Raises:
        BridgeError: ``unsupported_by_model``, naming the alternative.
    """
    if not parameters:
        return parameters
    return check_parameters(parameters, await bridge.endpoints.get(model), name=model)


def _max_output_tokens(bridge: Bridge, question: Question) -> int | None:
    # Rate limits reserve output tokens up front: a request without a maximum reserves the model's largest.
    if question.max_output_tokens is not None or "max_output_tokens" in question.extra:
        return question.max_output_tokens
    return bridge.settings.default_max_output_tokens or None
