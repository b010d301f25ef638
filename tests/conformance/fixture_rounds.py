"""Tools and a prompt that ask the client something before they finish, as the 2026-07-28 wire does it (SEP-2322)."""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import (
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

from databricks_responses_mcp.calls.state import AppSource
from databricks_responses_mcp.server import BridgeServer

Ctx = Context[AppSource, Any]
Reply = CallToolResult | InputRequiredResult


def add_rounds(server: BridgeServer) -> None:
    """Register every tool of this file, and its prompt."""
    for tool in (
        test_input_required_result_elicitation,
        test_input_required_result_sampling,
        test_input_required_result_list_roots,
        test_input_required_result_request_state,
        test_input_required_result_tampered_state,
        test_input_required_result_multiple_inputs,
        test_input_required_result_multi_round,
        test_input_required_result_capabilities,
        test_streaming_elicitation,
    ):
        server.tool(structured_output=False)(tool)
    server.prompt()(test_input_required_result_prompt)


async def test_input_required_result_elicitation(ctx: Ctx) -> Reply:
    """Asks for a name, again for as long as there is none."""
    name = _field(ctx, "user_name", "name")
    return _done(f"Hello, {name}!") if name is not None else _require(user_name=_form("What is your name?", "name"))


async def test_input_required_result_sampling(ctx: Ctx) -> Reply:
    """Asks the client's model a question."""
    match _answer(ctx, "capital_question"):
        case CreateMessageResult(content=TextContent(text=text)):
            return _done(text)
    return _require(capital_question=_sample("What is the capital of France?"))


async def test_input_required_result_list_roots(ctx: Ctx) -> Reply:
    """Asks for the client's folders."""
    match _answer(ctx, "client_roots"):
        case ListRootsResult(roots=roots):
            return _done(", ".join(str(root.uri) for root in roots))
    return _require(client_roots=ListRootsRequest())


async def test_input_required_result_request_state(ctx: Ctx) -> Reply:
    """Asks for consent, and wants its state back with it."""
    if _field(ctx, "confirm", "ok") is not None and ctx.request_state == "asked":
        return _done("state-ok")
    return _require("asked", confirm=_form("Please confirm", "ok", "boolean"))


async def test_input_required_result_tampered_state(ctx: Ctx) -> Reply:
    """The same; the suite hands back another state."""
    return await test_input_required_result_request_state(ctx)


async def test_input_required_result_multiple_inputs(ctx: Ctx) -> Reply:
    """Asks three things at once."""
    questions: dict[str, InputRequest] = {
        "user_name": _form("What is your name?", "name"),
        "greeting": _sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if questions.keys() <= (ctx.input_responses or {}).keys() and ctx.request_state == "asked":
        return _done("All three are answered.")
    return _require("asked", **questions)


async def test_input_required_result_multi_round(ctx: Ctx) -> Reply:
    """Asks one thing after the other."""
    if ctx.request_state == "named" and (color := _field(ctx, "step2", "color")) is not None:
        return _done(f"Your color is {color}.")
    if ctx.request_state == "started" and _field(ctx, "step1", "name") is not None:
        return _require("named", step2=_form("Step 2: What is your favorite color?", "color"))
    return _require("started", step1=_form("Step 1: What is your name?", "name"))


async def test_input_required_result_capabilities(ctx: Ctx) -> Reply:
    """Asks only what the client says it can be asked."""
    declared = ctx.client_capabilities
    questions: dict[str, InputRequest] = {}
    if declared is not None and declared.sampling is not None:
        questions["by_model"] = _sample("Say something.")
    if declared is not None and declared.elicitation is not None:
        questions["by_user"] = _form("Say something.", "said")
    return _require(**questions) if questions and not ctx.input_responses else _done("Asked what could be asked.")


async def test_streaming_elicitation(ctx: Ctx) -> Reply:
    """Reports progress, then asks."""
    await ctx.report_progress(1, 2)
    return await test_input_required_result_elicitation(ctx)


async def test_input_required_result_prompt(ctx: Ctx) -> list[UserMessage] | InputRequiredResult:
    """A prompt that asks for its context."""
    context = _field(ctx, "user_context", "context")
    if context is None:
        return _require(user_context=_form("What context should the prompt use?", "context"))
    return [UserMessage(f"Use this context: {context}")]


def _require(state: str | None = None, /, **questions: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=questions, request_state=state)


def _done(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)])


def _form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(question: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=question))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def _answer(ctx: Ctx, key: str) -> object:
    return (ctx.input_responses or {}).get(key)


def _field(ctx: Ctx, key: str, field: str) -> object:
    """What the user put into a field; None without an answer that has it."""
    match _answer(ctx, key):
        case ElicitResult(action="accept", content=dict(content)):
            return content.get(field)
    return None
