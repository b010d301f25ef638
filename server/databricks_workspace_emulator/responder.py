"""From a request to the events of its answer."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.contract.encrypted import check_reasoning
from databricks_workspace_emulator.contract.request import ResponsesRequest
from databricks_workspace_emulator.conversation import read_conversation
from databricks_workspace_emulator.engines.rules import RulesEngine, directive
from databricks_workspace_emulator.state import EmulatorState
from databricks_workspace_emulator.tokens import count_tokens
from databricks_workspace_emulator.tool_handlers import message, reasoning
from databricks_workspace_emulator.tool_selection import plan
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event, ResponseWriter

_IMAGE_TOKENS = 765


async def begin(request: ResponsesRequest, state: EmulatorState) -> Turn:
    """Read the request's conversation.

    Raises:
        ApiError: for input that cannot be read.
    """
    check_reasoning(request.items, request.endpoint.model)
    conversation = await read_conversation(request.items, request.body.instructions)
    engine = state.engine
    has_long_ids = request.endpoint.pay_per_token and state.switches.long_ids
    writer = ResponseWriter(request, engine.label, has_long_ids=has_long_ids)
    text_tokens = sum(count_tokens(said.content) + 4 for said in conversation.messages)
    writer.input_tokens = text_tokens + _IMAGE_TOKENS * len(conversation.pictures)
    return Turn(request=request, conversation=conversation, engine=engine, writer=writer)


async def answer(turn: Turn) -> AsyncGenerator[Event]:
    """Yield every event of the answer, in the documented order; the last one contains the whole response."""
    writer = turn.writer
    yield writer.lifecycle("response.created")
    yield writer.lifecycle("response.in_progress")
    try:
        for step in _steps(turn):
            async with aclosing(step) as events:
                async for event in events:
                    yield event
    except BridgeError as error:
        limited = error.code is ErrorCode.RATE_LIMITED
        code = "rate_limit_exceeded" if limited else "server_error"
        yield writer.finish("failed", error={"code": code, "message": str(error)})
        return
    if _asked(turn) == "filter":
        yield writer.finish("incomplete", reason="content_filter")
    elif writer.budget.cut or _asked(turn) == "only reasoning":
        yield writer.finish("incomplete", reason="max_output_tokens")
    else:
        yield writer.finish("completed")


def _steps(turn: Turn) -> Iterator[AsyncGenerator[Event]]:
    """Yield the parts of the answer, one after the other; later parts may depend on earlier ones."""
    asked = _asked(turn)
    if reasoning.is_asked(turn) or asked == "only reasoning":
        yield reasoning.play(turn)
    if asked == "only reasoning":
        return
    if asked == "refuse":
        yield message.play_refusal(turn)
        return
    if asked == "commentary":
        yield message.play_commentary(turn)
    for play, tool in plan(turn) if asked != "no tools" else []:
        if not turn.writer.budget.cut:
            yield play(turn, tool)
    if not (turn.waiting or turn.writer.budget.cut):
        yield message.play(turn)


def _asked(turn: Turn) -> str:
    """Return the directive of the prompt, which only the engine without a model follows."""
    return directive(turn.conversation.prompt)[0] if isinstance(turn.engine, RulesEngine) else ""
