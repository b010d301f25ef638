"""Asking a model: the endpoint, the parameters, and one turn of a conversation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.responses.native_tools import size_problems, tool_choice, tool_problems
from databricks_responses_mcp.responses.request import RESERVED, FileInput, Prompt, RequestOptions, build_parameters
from databricks_responses_mcp.responses.tool_shapes import responses_choice, responses_tools
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation, check_nothing_waits
from databricks_responses_mcp.turns.outcome import INTERRUPTED, Outcome
from databricks_responses_mcp.turns.pipeline import SURFACE
from databricks_responses_mcp.turns.structured_output import check_output_schema, fit_to_schema, text_format
from databricks_responses_mcp.turns.turn import take_turn
from databricks_responses_mcp.workspace.parameter_policy import check_parameters, needs_check


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequest:
    """The request of a caller. None means not given.

    Attributes:
        prompt: the text of the question, with the content of text files included.
        model: the serving endpoint; None uses the conversation's, else the default.
        images: image URLs, ``data:`` or ``https:``.
        files: documents, recordings and videos.
        tools: tool definitions of the Responses API; functions in the shapes of other APIs are translated.
        mcp_servers: names of additional MCP servers that the model may use, as `McpServers` resolves them.
        tool_choice: ``none``, ``auto``, ``required``, or the name or type of one of the tools or MCP servers.
        output_schema: a JSON Schema that the answer must match.
        conversation_id: an earlier conversation to continue.
        extra: further parameters of the Responses API, verbatim.
        surface: the API surface to use; None detects it.
        once: whether the other parameters apply to this turn only, not to later turns of its conversation.
    """

    prompt: str
    model: str | None = None
    instructions: str | None = None
    images: Sequence[str] = ()
    files: Sequence[FileInput] = ()
    reasoning_effort: str | None = None
    verbosity: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    mcp_servers: Sequence[str] = ()
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    output_schema: Mapping[str, Any] | None = None
    conversation_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    surface: str | None = None
    once: bool = False


_NAMED = (
    "instructions",
    "max_output_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tool_calls",
)
_LOOKING_UP = "looking up the model"


async def ask(bridge: Bridge, question: AskRequest, call: CallContext | None = None) -> Outcome:
    """Ask a model and read the whole answer; ``outcome.conversation_id`` names the conversation that it belongs to.

    Args:
        call: the call in flight; without it the function makes its own, with the time limit of the settings.

    Raises:
        BridgeError: for every failure, by the error contract.
    """
    question = _in_own_shapes(question)
    _check_question(bridge, question)
    call = call or CallContext.start(bridge.settings)
    if question.output_schema is not None:
        async with call.deadline.bounds("checking output_schema"):
            await check_output_schema(bridge, question.output_schema)
    async with _conversation_of(bridge, question, call) as (conversation, named):
        said = Prompt(text=question.prompt, images=question.images, files=question.files).items()
        outcome = await take_turn(bridge, conversation, said, call, once=named if question.once else {})
        if question.output_schema is None or outcome.incomplete_reason == INTERRUPTED:
            return outcome
        return await fit_to_schema(bridge, conversation, outcome, question.output_schema, call)


@asynccontextmanager
async def _conversation_of(
    bridge: Bridge, question: AskRequest, call: CallContext
) -> AsyncIterator[tuple[Conversation, Mapping[str, Any]]]:
    """Open the conversation of a question, new or continued, with its lock held; yield it with the parameters of this
    turn.
    """
    if question.conversation_id is None:
        conversation, named = await _new_conversation(bridge, question, call)
        async with conversation.turn:
            yield conversation, named
        return
    async with (
        bridge.conversations.turn_of(question.conversation_id) as conversation,
        conversation.as_it_was_on_failure(),
    ):
        named = await _go_on_with(bridge, conversation, question, call)
        yield conversation, named


def _in_own_shapes(question: AskRequest) -> AskRequest:
    """Return the request with tools that use another API's format converted to the format of the Responses API."""
    if not question.tools and "tools" not in question.extra and "tool_choice" not in question.extra:
        return question
    extra = dict(question.extra)
    if isinstance(extra.get("tools"), list):
        extra["tools"] = responses_tools(extra["tools"])
    if "tool_choice" in extra:
        extra["tool_choice"] = responses_choice(extra["tool_choice"])
    return replace(question, tools=tuple(responses_tools(question.tools)), extra=extra)


async def _new_conversation(
    bridge: Bridge, question: AskRequest, call: CallContext
) -> tuple[Conversation, Mapping[str, Any]]:
    model = question.model or bridge.settings.model
    if not model:
        async with call.deadline.bounds(_LOOKING_UP):
            model = await bridge.endpoints.default_text_model()
    named = await _parameters(bridge, model, question, call)
    _check_labels(bridge, named, question.mcp_servers)
    conversation = bridge.conversations.new(model, {} if question.once else named)
    conversation.mcp_servers = question.mcp_servers
    conversation.output_schema = question.output_schema
    return conversation, named


async def _go_on_with(
    bridge: Bridge, earlier: Conversation, question: AskRequest, call: CallContext
) -> Mapping[str, Any]:
    """Copy what this turn names into a conversation, and return it. The caller holds its turn."""
    check_nothing_waits(earlier)
    endpoint = question.model or earlier.endpoint
    # What this turn names replaces the conversation's value; all else is unchanged.
    named = await _parameters(bridge, endpoint, question, call, used_surface=earlier.parameters.get(SURFACE))
    servers = question.mcp_servers or earlier.mcp_servers
    _check_labels(bridge, {**earlier.parameters, **named}, servers)
    earlier.endpoint = endpoint
    if question.once:
        return named
    earlier.parameters = {**earlier.parameters, **named}
    earlier.mcp_servers = servers
    if question.output_schema is not None or "text" in named:
        earlier.output_schema = question.output_schema
    return named


async def _parameters(
    bridge: Bridge, model: str, question: AskRequest, call: CallContext, *, used_surface: str | None = None
) -> dict[str, Any]:
    """Return the parameters of a turn; ``used_surface`` is the one that its conversation was asked to use."""
    choice = _tool_choice(bridge, question)
    forced = {SURFACE: question.surface} if question.surface is not None else {}
    parameters = build_parameters(
        RequestOptions(
            instructions=question.instructions,
            reasoning_effort=question.reasoning_effort,
            verbosity=question.verbosity,
            max_output_tokens=question.max_output_tokens,
            temperature=question.temperature,
            top_p=question.top_p,
            tools=question.tools,
            tool_choice=choice,
            parallel_tool_calls=question.parallel_tool_calls,
            max_tool_calls=question.max_tool_calls,
            text_format=text_format(question.output_schema) if question.output_schema is not None else None,
            extra=question.extra,
        )
    )
    surface = question.surface or used_surface or bridge.settings.surface
    if bridge.settings.check_parameters and needs_check(parameters, surface):
        async with call.deadline.bounds(_LOOKING_UP):
            endpoint = await bridge.endpoints.get(model)
        parameters = check_parameters(parameters, endpoint, name=model, surface=surface)
    return forced | parameters


def _tool_choice(bridge: Bridge, question: AskRequest) -> str | dict[str, Any] | None:
    if question.tool_choice is None:
        return None
    labels = bridge.mcp_servers.labels(question.mcp_servers) if question.mcp_servers else {}
    servers = [{"type": "mcp", "server_label": label} for label in labels.values()]
    return tool_choice(labels.get(question.tool_choice, question.tool_choice), [*question.tools, *servers])


def _check_labels(bridge: Bridge, parameters: Mapping[str, Any], servers: Sequence[str]) -> None:
    """Refuse two servers with the same label, which could not be told apart."""
    if not servers:
        return
    tools = parameters.get("tools", ())
    taken = {tool.get("server_label") for tool in tools if isinstance(tool, Mapping)}
    if twice := [label for label in bridge.mcp_servers.labels(servers).values() if label in taken]:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"`tools` and `mcp_servers` both have a server called {', '.join(twice)}.",
            "Give the one in `tools` another server_label, or leave one of the two out.",
        )


def _check_question(bridge: Bridge, question: AskRequest) -> None:
    if reserved := sorted(RESERVED & question.extra.keys()):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"`extra` may not contain {', '.join(f'`{name}`' for name in reserved)}: the bridge sets these itself.",
            "Use the arguments `model`, `prompt`, `images` and `files`.",
        )
    twice = [name for name in _NAMED if getattr(question, name) not in (None, ()) and name in question.extra]
    if twice:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{', '.join(f'`{name}`' for name in twice)} is given both as an argument and in `extra`.",
            "Give it once.",
        )
    for name, argument in (("reasoning", question.reasoning_effort), ("text", question.verbosity)):
        value = question.extra.get(name)
        if argument is not None and value is not None and not isinstance(value, Mapping):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"`extra` has a {name} that is not an object, so the argument beside it cannot be put into it.",
                f"Give {name} as an object, or leave one of the two out.",
            )
    if question.mcp_servers:
        bridge.mcp_servers.labels(question.mcp_servers)
        if "tools" in question.extra and not isinstance(question.extra["tools"], list):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                "`tools` in `extra` is not a list, so the MCP servers cannot be added to it.",
                "Use the argument `tools`.",
            )
    too_much = [f"extra.{problem}" for problem in size_problems(question.extra.get("tools"))]
    if problems := tool_problems(question.tools) or too_much:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"The tools cannot be sent: {'; '.join(problems[:5])}.",
            "Correct the definitions; they are the Responses API's own.",
        )
    if question.tool_choice is not None and _tool_choice(bridge, question) is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"tool_choice {quoted(question.tool_choice)} is neither a mode nor a tool of this call.",
            "Use none, auto, required, or the name or type of one of `tools` or `mcp_servers`.",
        )
