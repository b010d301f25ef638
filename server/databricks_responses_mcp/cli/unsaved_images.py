"""Pictures that were drawn and paid for, and that no disk would take where they were wanted."""

import tempfile
from pathlib import Path
from typing import Any

from databricks_responses_mcp.calls.state import UnsavedPictures
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.pictures import save_picture


def rescue(unsaved: UnsavedPictures, prompt: str, facts: dict[str, Any]) -> dict[str, Any]:
    """``facts`` with every picture on some disk: those that are only in memory go to the temporary directory.

    Raises:
        BridgeError: ``internal``, if that takes none either.
    """
    pictures: list[dict[str, Any]] = []
    notes = [note for note in facts.get("notes", []) if "image://unsaved-" not in note]
    for picture in facts["images"]:
        if "path" in picture:
            pictures.append(picture)
            continue
        data = unsaved.get(str(picture["uri"]).partition("://")[2])
        assert data is not None
        try:
            saved = save_picture(data, Path(tempfile.gettempdir()), prompt)
        except BridgeError as error:
            raise BridgeError(
                ErrorCode.INTERNAL,
                "The picture was drawn and paid for, and no disk takes it: neither where it was to go, nor the "
                f"temporary directory. {error.message}",
                "Make room, or choose another place with --save-to; then draw it again.",
            ) from error
        pictures.append({**{key: value for key, value in picture.items() if key != "uri"}, "path": str(saved.path)})
        notes.append(f"It could not be saved where it was to go, and is in the temporary directory: {saved.path}")
    return {**facts, "images": pictures, "notes": notes}
