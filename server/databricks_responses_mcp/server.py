"""The MCP server: its description, tools, resources and prompts. Each failed call returns a code and a hint."""

import base64
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    GetPromptResult,
    Icon,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
)
from mcp.types import Tool as ToolDefinition
from pydantic import AnyUrl, ValidationError

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.calls.state import App, AppSource, app_in, app_of, host_of
from databricks_responses_mcp.calls.tasks import TasksExtension
from databricks_responses_mcp.errors import (
    BridgeError,
    ErrorCode,
    as_bridge_error,
    convert_exceptions,
    forget_origin,
    quoted,
)
from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.tools.arguments import meant_argument, without_placeholders
from databricks_responses_mcp.tools.definitions import NAMES, published_tools
from databricks_responses_mcp.transport.pipes import stdio_streams
from databricks_responses_mcp.turns.bridge import Bridge

logger = logging.getLogger(__name__)

INSTRUCTIONS = """\
Models of a Databricks workspace, through the OpenAI Responses API. \
ask_databricks_model asks one (text, images, files, tools); continue_databricks_model hands back what its calls gave; \
generate_image draws or edits pictures and saves them; search_web answers with citations; edit_files works out \
a patch; list_databricks_models names the endpoints. Leave `model` out unless the user names one. \
When a result has an error, its hint says what to do; partial answers are kept in it."""

_HOUR_MS = 3_600_000
_SWEEP_AFTER_SECONDS = 10
_SWEEP_EVERY_SECONDS = 6 * 3600
_RAW = "application/octet-stream"

if TYPE_CHECKING:
    from mcp.server.mcpserver.tools import Tool
    from mcp.server.request_state import RequestStateSecurity

    from databricks_responses_mcp.calls.tool_call import ToolCall

OpenBridge = Callable[[], AbstractAsyncContextManager[Bridge]]
OpenApps = Callable[[], AbstractAsyncContextManager[AppSource]]


class BridgeServer(MCPServer[AppSource]):
    """An MCP server that reports each failed call as a structured error, and creates its tools at the first call."""

    listed: anyio.Event | None = None
    called: anyio.Event | None = None
    tasks: TasksExtension
    _ours: "dict[str, Tool]"

    async def run_stdio_async(self) -> None:
        """Serve over stdin and stdout until the host closes one of them; each request gets an answer."""
        lowlevel = self._lowlevel_server
        async with stdio_streams() as (incoming, outgoing):
            await lowlevel.run(incoming, outgoing, lowlevel.create_initialization_options())

    async def list_tools(self) -> list[ToolDefinition]:
        """Return the published tools; the modules they need are imported after the first host has the list."""
        if self.listed is not None:
            self.listed.set()
        return [*published_tools(), *await super().list_tools()]

    async def _handle_list_tools(
        self, ctx: ServerRequestContext[AppSource], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        """Answer ``tools/list`` with the tools that the user can use."""
        listed = await super()._handle_list_tools(ctx, params)
        names = ctx.lifespan_context.listed_tools([tool.name for tool in listed.tools], ctx.request)
        listed.tools = [tool for tool in listed.tools if tool.name in names]
        return listed

    def our_tool(self, name: str) -> "Tool":
        """Return one of the server's own tools, ready to be called: imported and made when it is first called."""
        if name not in self._ours:
            from databricks_responses_mcp.tools.registry import tool_named

            self._ours[name] = tool_named(name)
        return self._ours[name]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[AppSource, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool; any failure becomes a result with a code, a message and a hint."""
        assert context is not None
        if name not in NAMES:
            return await self._call_foreign(name, arguments, context)
        # Imported here: `tools/list` does not need it.
        from databricks_responses_mcp.calls.tool_call import ToolCall

        call = ToolCall(context, name)
        result = await self._call_ours(call, arguments)
        await call.app.long_texts.save()
        return result

    async def _call_ours(self, call: "ToolCall", arguments: dict[str, Any]) -> CallToolResult | InputRequiredResult:
        """Call one of the server's own tools."""
        # Imported here: `tools/list` does not need it.
        from databricks_responses_mcp.calls.job_results import result_of_job

        try:
            with convert_exceptions(call.tool, passing=(MCPError,), log_fields=call.log.fields):
                if call.app.bridge.policy is not None:
                    call.app.bridge.policy.check_tool(call.tool)
                tool = self.our_tool(call.tool)
                arguments = _known_arguments(tool, arguments)
                validated = _validated(tool, arguments)
                if (earlier := await call.earlier_call(arguments)) is not None:
                    repeated = await result_of_job(call, earlier, call.seconds_left)
                    await call.log_end("repeated")
                    return repeated
                if self.called is not None:
                    self.called.set()
                return await call.run(tool, validated)
        except BridgeError as error:
            forget_origin(error)
            await call.log_end("failed", error)
            return await call.failure(error)

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[AppSource, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource; the MIME type of a picture is detected from its bytes, since a template has only one."""
        from databricks_responses_mcp.media.formats import sniff

        contents = await super().read_resource(uri, context)
        if isinstance(contents, InputRequiredResult):
            return contents
        if not str(uri).startswith("image:"):
            assert context is not None
            secrets = app_of(context).bridge.settings.secrets
            return [replace(content, content=secrets.remove_from(content.content)) for content in contents]
        return [
            replace(content, mime_type=image_format.mime_type if (image_format := sniff(content.content)) else _RAW)
            if isinstance(content.content, bytes)
            else content
            for content in contents
        ]

    async def list_prompts(self) -> list[Prompt]:
        """Return the server's own prompts, then prompts that other code registered on this server."""
        from databricks_responses_mcp.prompts.catalogue import list_prompts

        return [*list_prompts(), *await super().list_prompts()]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[AppSource, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Return a prompt with its arguments filled in."""
        from databricks_responses_mcp.prompts.catalogue import get_prompt

        if name in {prompt.name for prompt in await super().list_prompts()}:
            return await super().get_prompt(name, arguments, context)
        return get_prompt(name, arguments or {})

    def serve_completion(self) -> None:
        """Answer ``completion/complete``. The handlers of the SDK's decorator have no access to the workspace."""

        async def handle(ctx: ServerRequestContext[AppSource], params: CompleteRequestParams) -> CompleteResult:
            from databricks_responses_mcp.prompts.completion import complete

            return CompleteResult(completion=await complete(app_in(ctx), params.ref, params.argument))

        self._lowlevel_server.add_request_handler("completion/complete", CompleteRequestParams, handle)

    async def _call_foreign(
        self, name: str, arguments: dict[str, Any], context: Context[AppSource, Any]
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool that other code registered on this server."""
        from databricks_responses_mcp.calls.results import failure_result

        try:
            with convert_exceptions(name, passing=(MCPError, ToolError)):
                if name not in {tool.name for tool in await super().list_tools()}:
                    raise BridgeError(
                        ErrorCode.NOT_FOUND, f"There is no tool {quoted(name)}.", f"The tools are {', '.join(NAMES)}."
                    )
                return await super().call_tool(name, arguments, context)
        except ToolError as error:
            failure = _as_bridge_error(name, error)
        except BridgeError as error:
            failure = error.with_traceback(None)
        return failure_result(app_of(context), host_of(context.request_context), failure)


def build_server(open_bridge: OpenBridge) -> BridgeServer:
    """Return the server of one user, ready to run on any transport.

    Args:
        open_bridge: opens the workspace for the server's lifetime.
    """

    @asynccontextmanager
    async def open_app() -> AsyncIterator[App]:
        async with open_bridge() as bridge:
            yield App(bridge)

    return build_server_of(open_app, list_scope="public")


def build_server_of(
    open_apps: OpenApps,
    state_security: "RequestStateSecurity | None" = None,
    *,
    list_scope: Literal["public", "private"] = "private",
) -> BridgeServer:
    """Return a server, ready to run on any transport.

    Args:
        open_apps: opens the `App` of each user for the server's lifetime.
        state_security: seals the state that a host returns with its user's answers; None for a key of this process.
        list_scope: who may share a cached list of tools: ``private`` where users may call different ones.
    """

    @asynccontextmanager
    async def lifespan(server: MCPServer[AppSource]) -> AsyncIterator[AppSource]:
        assert isinstance(server, BridgeServer)
        server.listed, server.called = anyio.Event(), anyio.Event()
        async with open_apps() as apps, anyio.create_task_group() as tasks:
            apps.run_in(tasks)
            tasks.start_soon(_warm_up, apps, server.listed)
            tasks.start_soon(_sweep, apps, server.called)
            yield apps
            tasks.cancel_scope.cancel()

    tasks = TasksExtension()
    server = BridgeServer(
        SERVER.distribution,
        title=SERVER.title,
        description=SERVER.summary,
        instructions=INSTRUCTIONS,
        website_url=SERVER.website,
        icons=[
            Icon(
                src=f"data:image/svg+xml;base64,{base64.b64encode(SERVER.icon.encode()).decode()}",
                mime_type="image/svg+xml",
                sizes=["any"],
            )
        ],
        version=SERVER.version,
        lifespan=lifespan,
        cache_hints={
            "tools/list": CacheHint(ttl_ms=_HOUR_MS, scope=list_scope),
            "prompts/list": CacheHint(ttl_ms=_HOUR_MS, scope="public"),
        },
        subscriptions=False,
        extensions=[tasks],
        request_state_security=state_security,
        log_level="WARNING",
    )
    server.tasks, server._ours = tasks, {}
    _add_resources(server)
    server.serve_completion()
    return server


def _add_resources(server: BridgeServer) -> None:
    @server.resource(
        "image://{name}",
        name="picture",
        title="Generated picture",
        description="An image that generate_image saved, in full.",
        mime_type="image/png",
    )
    async def picture(name: str, ctx: Context[AppSource, Any]) -> bytes:
        app: App = app_of(ctx)
        try:
            return await app.pictures.read(name)
        except BridgeError as error:
            raise ResourceNotFoundError(error.text(mcp_words)) from error

    @server.resource(
        "answer://{number}",
        name="answer",
        title="Whole answer",
        description="An answer that was too long for a tool result, in full.",
        mime_type="text/plain",
    )
    async def answer(number: str, ctx: Context[AppSource, Any]) -> str:
        return await _long_text(ctx, number)

    @server.resource(
        "answer://{number}/{start}",
        name="answer_from",
        title="Rest of an answer",
        description="The part of such an answer that starts at character `start`, as much as the host shows at once.",
        mime_type="text/plain",
    )
    async def answer_from(number: str, start: str, ctx: Context[AppSource, Any]) -> str:
        from databricks_responses_mcp.calls.truncation import CHARACTERS_PER_TOKEN, page_characters

        text = await _long_text(ctx, number)
        if not start.isdecimal() or int(start) > len(text):
            raise ResourceNotFoundError(f"answer://{number} has {len(text)} characters, and none at {quoted(start)}.")
        most = app_of(ctx).bridge.settings.max_text_tokens * CHARACTERS_PER_TOKEN
        size = page_characters(host_of(ctx.request_context), most)
        end = int(start) + size
        page = text[int(start) : end]
        return page if end >= len(text) else f"{page}\n\n[{len(text) - end} more: answer://{number}/{end}]"

    @server.resource(
        "model://{name}",
        name="model",
        title="Model",
        description="How a model of the workspace is reached and what it can do, as JSON.",
        mime_type="application/json",
    )
    async def model(name: str, ctx: Context[AppSource, Any]) -> str:
        from databricks_responses_mcp.turns.model_listing import describe_model

        try:
            return await describe_model(app_of(ctx).bridge, name)
        except BridgeError as error:
            raise ResourceNotFoundError(error.text(mcp_words)) from error

    @server.resource(
        "conversation://{id}",
        name="conversation",
        title="Conversation",
        description="A stored conversation, as Markdown.",
        mime_type="text/markdown",
    )
    async def conversation(id: str, ctx: Context[AppSource, Any]) -> str:  # noqa: A002 - the template's variable
        from databricks_responses_mcp.turns import conversation_queries
        from databricks_responses_mcp.turns.transcript import as_markdown

        try:
            stored = await conversation_queries.read(app_of(ctx).bridge, id)
            return await anyio.to_thread.run_sync(as_markdown, stored)
        except BridgeError as error:
            raise ResourceNotFoundError(error.text(mcp_words)) from error


async def _long_text(ctx: Context[AppSource, Any], number: str) -> str:
    texts = app_of(ctx).long_texts
    try:
        text = await texts.read(number)
    except BridgeError as error:
        raise ResourceError(error.text(mcp_words)) from error
    if text is None:
        raise ResourceNotFoundError(f"answer://{number} is not here: long answers are kept {texts.kept_for}.")
    return text


async def _sweep(apps: AppSource, called: anyio.Event) -> None:
    """Delete expired rows every few hours, starting after the first call, which opens the store."""
    await called.wait()
    await anyio.sleep(_SWEEP_AFTER_SECONDS)
    while True:
        await apps.sweep()
        await anyio.sleep(_SWEEP_EVERY_SECONDS)


async def _warm_up(apps: AppSource, listed: anyio.Event) -> None:
    """Prepare for the first call in a thread, after the first host has received the list of tools.

    Imports the modules that calls need, and undoes unfinished writes of a killed server.
    """
    await listed.wait()
    await anyio.sleep(0.02)
    await anyio.to_thread.run_sync(_import_for_first_call, abandon_on_cancel=True)
    try:
        await anyio.to_thread.run_sync(apps.recover_writes)
    except Exception:  # calls can be answered even if an old record is damaged
        logger.exception("an interrupted write could not be undone")


def _import_for_first_call() -> None:
    """Import what every call needs, and the tool that is called most; the others follow when they are called."""
    import databricks_responses_mcp.calls.tool_call
    import databricks_responses_mcp.store.sqlite
    import databricks_responses_mcp.tools.ask_databricks_model
    import databricks_responses_mcp.tools.registry  # noqa: F401 - imported for the effect


def _known_arguments(tool: "Tool", arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments without empty placeholders.

    Raises:
        BridgeError: ``invalid_argument`` if the tool does not have one of them.
    """
    known = list(tool.parameters["properties"])
    if unknown := [argument for argument in arguments if argument not in known]:
        meant = meant_argument(unknown[0], known)
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{tool.name} has no argument {quoted(unknown[0])}.",
            f"Did you mean {meant!r}?" if meant else f"Its arguments are {', '.join(known)}.",
        )
    return without_placeholders(arguments, tool.parameters.get("required", ()))


def _validated(tool: "Tool", arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments converted to the types of the tool's function.

    Raises:
        BridgeError: ``invalid_argument`` if they do not match the tool's schema.
    """
    try:
        return tool.fn_metadata.validate_arguments(arguments)
    except ValidationError as error:
        raise _invalid_arguments(tool.name, error) from error


def _as_bridge_error(name: str, error: ToolError) -> BridgeError:
    cause = error.__cause__
    if isinstance(cause, ValidationError) and not isinstance(error, UnexpectedToolError):
        return _invalid_arguments(name, cause)
    if isinstance(error, UnexpectedToolError) or isinstance(cause, BridgeError):
        return as_bridge_error(cause if isinstance(cause, Exception) else error, name)
    return BridgeError(ErrorCode.INVALID_ARGUMENT, str(error), "Correct the call and try again.")


def _invalid_arguments(name: str, error: ValidationError) -> BridgeError:
    details = error.errors(include_url=False, include_input=False)
    # An argument may be null, meaning omitted: the error that it is not null adds nothing.
    problems = "; ".join(dict.fromkeys(_problem(d) for d in details if d["type"] != "none_required"))
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{name} cannot take these arguments: {problems}.",
        "Correct them and call again.",
    )


def _problem(detail: Any) -> str:
    # The rest of the location names branches of the union types, which the caller does not know.
    where = ".".join(str(part) for part in detail["loc"] if isinstance(part, int) or part == detail["loc"][0])
    return f"{where}: {detail['msg']}" if where else str(detail["msg"])
