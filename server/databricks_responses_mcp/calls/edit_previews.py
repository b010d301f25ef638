"""Edits that were shown but not written: kept in memory so that exactly these can be written later."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from databricks_responses_mcp.calls.memory_limit import MemoryLimit

if TYPE_CHECKING:
    from databricks_responses_mcp.media.staging import Staging

MAX_PREVIEWS = 50
MAX_PREVIEW_CHARACTERS = 32_000_000
"""Limit for the text of all previews of one server: the files before and after the edit."""


@dataclass(eq=False)
class EditPreview:
    """An edit that can be written as it was shown.

    Attributes:
        staging: the files as they were read.
        after: the texts of all files after the edit, by name.
        structured: the result with the preview.
        is_written: whether it was written.
        lock: acquired while it is written.
    """

    staging: "Staging"
    after: Mapping[str, str]
    structured: Mapping[str, Any]
    is_written: bool = False
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def characters(self) -> int:
        """The number of characters of its text in memory."""
        return sum(map(len, self.staging.texts.values())) + sum(map(len, self.after.values()))


class EditPreviews:
    """Previews by id, in memory: until the server ends, the newest `MAX_PREVIEWS` within `MAX_PREVIEW_CHARACTERS`.

    Args:
        limit: the limit of all users together; None for a server of one user.
    """

    def __init__(self, limit: MemoryLimit | None = None) -> None:
        self._previews: OrderedDict[str, EditPreview] = OrderedDict()
        self._limit = limit
        if limit is not None:
            limit.add(self)

    @property
    def held(self) -> int:
        """The number of characters of text in memory."""
        return sum(kept.characters for kept in self._previews.values())

    def drop_oldest(self) -> bool:
        """See `Holder.drop_oldest`."""
        if not self._previews:
            return False
        self._previews.popitem(last=False)
        return True

    def keep(self, preview: EditPreview) -> str:
        """Store a preview; return its id, which cannot be guessed."""
        preview_id = f"preview_{secrets.token_urlsafe(12)}"
        self._previews[preview_id] = preview
        while len(self._previews) > 1 and (len(self._previews) > MAX_PREVIEWS or self.held > MAX_PREVIEW_CHARACTERS):
            self.drop_oldest()
        if self._limit is not None:
            self._limit.enforce()
        return preview_id

    def get(self, preview_id: str) -> EditPreview | None:
        """Return the preview, if it is still stored."""
        return self._previews.get(preview_id)
