"""Editing files with a model, for the tool and the command: reading, asking, writing, and the facts of the result."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.staging import Staging
from databricks_responses_mcp.media.write_journal import WriteJournal
from databricks_responses_mcp.patching import PatchError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.edit import Edit, Edited, edit
from databricks_responses_mcp.turns.patch_session import conclude

_MAX_TOTAL_BYTES = 8_000_000


async def edit_on_disk(
    bridge: Bridge,
    call: CallContext,
    structured: dict[str, Any],
    *,
    instruction: str,
    paths: Sequence[str],
    new_paths: Sequence[str],
    allowed: AllowedPaths,
    journal: WriteJournal,
    model: str | None,
    conversation_id: str | None,
    base: Path | None = None,
) -> tuple[Staging, Edited]:
    """Let a model edit files of this machine; nothing is written.

    Args:
        structured: receives the fields of the result, also if the edit fails.
        paths: as for `Staging.read`.
        new_paths: files that the model may create.
        allowed: where files may be read and written.
        journal: where a later write is recorded.
        base: what relative paths are relative to; the working directory if None.

    Raises:
        BridgeError: as `Staging.read` and `edit`.
    """
    settings = bridge.settings
    staging = await Staging.read(
        paths,
        new=new_paths,
        allowed=allowed,
        journal=journal,
        max_bytes=settings.max_file_bytes,
        max_total_bytes=_MAX_TOTAL_BYTES,
        base=base,
    )
    structured |= {"directory": str(staging.root), "applied": False}

    async def admit(name: str, text: str | None) -> None:
        try:
            await staging.admit(name, text)
        except BridgeError as error:
            raise PatchError(str(error)) from error

    wanted = Edit(
        instruction=instruction,
        files=staging.texts,
        new_files=staging.wanted,
        root=staging.root.as_posix(),
        model=model,
        conversation_id=conversation_id,
    )
    edited = await edit(bridge, wanted, call, admit=admit)
    structured |= edited.structured()
    return staging, edited


async def write_edit(staging: Staging, texts: Mapping[str, str], structured: dict[str, Any]) -> None:
    """Write an edit, and record that in its facts.

    Raises:
        BridgeError: as `change_files`; nothing was changed then.
    """
    problem = await staging.write(texts)
    conclude(structured, "written")
    if problem:
        add_note(structured, problem)


def add_note(structured: dict[str, Any], note: str) -> None:
    """Add a sentence for the reader of a result."""
    structured["notes"] = [*structured.get("notes", []), note]


@contextmanager
def keep_unwritten(structured: Mapping[str, Any]) -> Iterator[None]:
    """Add what the model had already done to an error of an edit, as `BridgeError.partial`; none of it was
    written.
    """
    try:
        yield
    except BridgeError as error:
        if not error.partial and "diff" not in structured:
            raise
        partial = {**structured, **error.partial, "status": "failed"}
        conclude(partial, "not_written")
        raise error.with_partial(partial) from error
