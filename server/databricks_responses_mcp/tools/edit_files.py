"""The tool ``edit_files``."""

from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from databricks_responses_mcp.calls.edit_previews import MAX_PREVIEWS, EditPreview
from databricks_responses_mcp.calls.edit_text import render_edit
from databricks_responses_mcp.calls.file_edits import add_note, edit_on_disk, keep_unwritten, write_edit
from databricks_responses_mcp.calls.inputs import allowed_paths, base_of_paths, require_local_files
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.staging import Staging
from databricks_responses_mcp.tools.arguments import Conversation, Key, Model, Names, Optional
from databricks_responses_mcp.tools.schema import EditFacts, define_tool
from databricks_responses_mcp.turns.edit import Edited
from databricks_responses_mcp.turns.patch_session import conclude

DESCRIPTION = """\
Let a model of the workspace edit text files; returns a unified diff.
Use when another model should work out a change. Files are written only with apply=true, all or none. To write a diff \
that an earlier call returned, call again with apply=true and its preview_id: no model is called. Costs tokens."""


async def edit_files(
    call: ToolCall,
    instruction: Annotated[
        Optional[str], Field(description="What to change. Required unless preview_id is given.")
    ] = None,
    paths: Annotated[Names, Field(description="Paths of the files that the model may read and change.")] = (),
    new_paths: Annotated[
        Names,
        Field(
            description="Paths of files that the model may create. Other new files are only previewed, even with apply."
        ),
    ] = (),
    apply: Annotated[
        bool, Field(description="true writes the changes. Default: false, which returns the diff and a preview_id.")
    ] = False,
    preview_id: Annotated[
        Optional[str],
        Field(description="preview_id of an earlier result. With apply=true, exactly that diff is written."),
    ] = None,
    model: Model = None,
    conversation_id: Conversation = None,
    idempotency_key: Key = None,
) -> Annotated[CallToolResult, EditFacts]:
    """Edit files; see DESCRIPTION."""
    if preview_id is None and instruction is None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "edit_files needs an instruction, or the preview_id of an earlier result.",
            "Say in `instruction` what to change.",
        )
    app = call.app
    require_local_files(app, "`edit_files`")
    context = await call.begin()
    if preview_id is not None:
        return await call.result(await _from_preview(app, preview_id, apply=apply), preamble=render_edit)
    structured: dict[str, Any] = {}
    with keep_unwritten(structured):
        staging, edited = await edit_on_disk(
            app.bridge,
            context,
            structured,
            instruction=instruction or "",
            paths=paths,
            new_paths=new_paths,
            allowed=await allowed_paths(app),
            base=base_of_paths(app),
            journal=app.write_journal,
            model=model,
            conversation_id=conversation_id,
        )
        await _settle(app, staging, edited, structured, apply=apply)
    return await call.result(structured, preamble=render_edit)


async def _settle(app: App, staging: "Staging", edited: "Edited", structured: dict[str, Any], *, apply: bool) -> None:
    """Write the model's changes, or store them as a preview; ``structured`` records which.

    Raises:
        BridgeError: as `change_files`, if they cannot be written.
    """
    if not edited.changed:
        return
    if not edited.is_whole:
        conclude(structured, "not_written" if apply else "previewed")
        if apply:
            add_note(structured, "Nothing was written: the model did not finish its work, or left an operation failed.")
        return
    unasked = staging.unasked(edited.created)
    preview = EditPreview(staging, edited.after, structured)
    if apply and not unasked:
        await _write(preview, structured)
        return
    structured["preview_id"] = app.previews.keep(preview)
    if apply:
        structured |= {"status": "incomplete", "incomplete_reason": "new_files_to_confirm"}
        add_note(structured, f"Nothing was written yet: new_paths does not name these new files: {', '.join(unasked)}.")


async def _from_preview(app: App, preview_id: str, *, apply: bool) -> dict[str, Any]:
    """Return the result of an earlier edit that was only shown, and write it if requested.

    Raises:
        BridgeError: ``not_found`` if there is none with that id; as `change_files`, if it cannot be written.
    """
    preview = app.previews.get(preview_id)
    if preview is None:
        raise BridgeError(
            ErrorCode.NOT_FOUND,
            f"There is no preview {preview_id[:80]!r}: the newest {MAX_PREVIEWS} are kept in memory, until the server "
            "ends.",
            "Call edit_files again with instruction and paths.",
        )
    # The text and usage of that call were in its own result.
    told = ("text", "usage", "output", "notes")
    structured = {key: value for key, value in preview.structured.items() if key not in told}
    structured |= {"status": "completed", "applied": False, "preview_id": preview_id}
    structured.pop("incomplete_reason", None)
    if not apply:
        return structured
    async with preview.lock:
        if preview.is_written:
            conclude(structured, "written")
            add_note(structured, "It had been written before; nothing was done now.")
        else:
            try:
                await _write(preview, structured)
            except BridgeError as error:
                conclude(structured, "not_written")
                raise error.with_partial({**structured, "status": "failed"}) from error
    del structured["preview_id"]
    return structured


async def _write(preview: EditPreview, structured: dict[str, Any]) -> None:
    """Write an edit, and record that in its facts."""
    await write_edit(preview.staging, preview.after, structured)
    preview.is_written = True


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        edit_files,
        title="Edit files",
        description=DESCRIPTION,
        read_only=False,
        destructive=True,
        idempotent=False,
        open_world=True,
    )
