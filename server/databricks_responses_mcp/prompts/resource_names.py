"""Completion of the variables of resource templates."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import anyio.to_thread

from databricks_responses_mcp.calls.state import App

_MOST_ENTRIES = 5000
_MOST_IDS = 100


async def picture_names(app: App, typed: str) -> Sequence[str]:
    """Names of the pictures that were saved, the newest first."""
    return await anyio.to_thread.run_sync(_newest, app.bridge.settings.image_dir, abandon_on_cancel=True)


async def conversation_ids(app: App, typed: str) -> Sequence[str]:
    """Ids of the conversations that are kept, the newest first; what was typed may be of the title, too."""
    found = await app.bridge.store.conversations(limit=_MOST_IDS, contains=typed)
    return [summary.conversation_id for summary in found]


def _newest(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            files = [(e.stat().st_mtime_ns, e.name) for e in islice(entries, _MOST_ENTRIES) if e.is_file()]
    except OSError:
        return []
    return [name for _, name in sorted(files, reverse=True) if name.endswith((".png", ".jpg", ".jpeg", ".webp"))]
