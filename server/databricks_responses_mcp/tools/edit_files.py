"""The tool ``edit_files``."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.tools.arguments import Key, Names, Optional
from databricks_responses_mcp.tools.schema import EditFacts, define_tool
from databricks_responses_mcp.tools.state import App, app_of

DESCRIPTION = """\
Have a model of the workspace edit text files; returns a unified diff.
Use when another model should work out a change. Writes only with apply=true, all files or none. \
Costs tokens."""

_MOST_TEXT_BYTES = 8_000_000


async def edit_files(
    ctx: Context[App],
    instruction: Annotated[str, Field(min_length=1, description="What to change.")],
    paths: Annotated[Names, Field(description="Files it may see and change.")] = (),
    apply: Annotated[bool, Field(description="true writes the changes; default false only shows them.")] = False,
    model: Annotated[Optional[str], Field(description="Serving endpoint. Default: as configured.")] = None,
    conversation_id: Annotated[Optional[str], Field(description="To go on with. Default: a new one.")] = None,
    idempotency_key: Key = None,
) -> Annotated[CallToolResult, EditFacts]:
    """Edit; see DESCRIPTION."""
    # Imported at the first call: `tools/list` must not wait for HTTP.
    from databricks_responses_mcp.media.staging import Staging
    from databricks_responses_mcp.patching import PatchError
    from databricks_responses_mcp.tools.held import current_call, plainly
    from databricks_responses_mcp.tools.prompting import allowed_paths
    from databricks_responses_mcp.turns.edit import Edit, edit

    app = app_of(ctx)
    held = current_call.get()

    async def work() -> dict[str, Any]:
        facts: dict[str, Any] = {}
        try:
            staging = await Staging.read(
                paths,
                allowed=await allowed_paths(app),
                max_bytes=app.bridge.settings.max_file_bytes,
                max_total_bytes=_MOST_TEXT_BYTES,
            )
            facts = {"directory": str(staging.root), "applied": False}

            async def admit(name: str, text: str | None) -> None:
                try:
                    await staging.admit(name, text)
                except BridgeError as error:
                    raise PatchError(str(error)) from error

            wanted = Edit(
                instruction=instruction,
                files=staging.texts,
                root=staging.root.as_posix(),
                model=model,
                conversation_id=conversation_id,
            )
            edited = await edit(app.bridge, wanted, admit=admit, reporter=held.reporter)
            facts |= edited.facts()
            if apply and edited.changed and edited.is_whole:
                await staging.write(edited.after)
                facts["applied"] = True
            elif apply and edited.changed:
                note = "Nothing was written, because the model did not finish its work or left an operation failed."
                facts["notes"] = [*facts.get("notes", []), note]
        except BridgeError as error:
            if error.partial or "diff" in facts:
                error.partial = {**facts, **error.partial}
            raise
        return facts

    return await held.result(work, plainly, lead=lead_of)


def lead_of(facts: dict[str, Any]) -> str:
    """What became of the files, in words."""
    lines = [_line(operation) for operation in facts.get("operations", [])]
    if diff := facts.get("diff"):
        state = "These changes were written" if facts.get("applied") else "Nothing was written; the changes would be"
        fence = "`" * (3 + ("```" in diff) * 3)
        lines.append(f"{state} (paths are relative to {facts.get('directory', '')}):\n{fence}diff\n{diff}{fence}")
    return "\n".join(lines)


def _line(operation: dict[str, Any]) -> str:
    line = f"{operation['type']} {operation['path']}: {operation['status']}"
    details = " ".join([operation.get("error", ""), *operation.get("notes", [])]).strip()
    return f"{line}. {details}" if details else line


def tool() -> Tool:
    """The tool's definition."""
    return define_tool(
        edit_files,
        title="Edit files",
        description=DESCRIPTION,
        read_only=False,
        destructive=True,
        idempotent=False,
        open_world=True,
    )
