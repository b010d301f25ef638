"""Long texts of a user of a service: in the store, so that every replica can read them."""

import hashlib
import logging
import time

from databricks_responses_mcp.calls.long_texts import LongTexts
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.store.interface import Store
from databricks_responses_mcp.turns.store_calls import result_of_store

logger = logging.getLogger(__name__)

_ID_CHARACTERS = 32
_UNKEPT = "A long answer could not be stored"
_UNREADABLE = "The long answer cannot be read"
_FIX_STORE = "Ask the administrator of this service to check its store, then ask again."


class StoredTexts(LongTexts):
    """Long texts by an id that is made of their content. One that cannot be stored stays in memory.

    Args:
        store: the store of the user, with access to the texts of this user only.
    """

    kept_for = "for seven days"

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    async def save(self) -> None:
        """See `LongTexts.save`."""
        with self._lock:
            texts = tuple(self._texts.items())
        for key, text in texts:
            try:
                await result_of_store(self._store.put_text(key, text, time.time()), _UNKEPT, _FIX_STORE)
            except BridgeError as error:
                logger.warning("%s", error)
                return
            with self._lock:
                if self._texts.pop(key, None) is not None:
                    self._characters -= len(text)

    async def read(self, key: str) -> str | None:
        """See `LongTexts.read`."""
        if (text := self._texts.get(key)) is not None or not _is_id(key):
            return text
        return await result_of_store(self._store.text(key), _UNREADABLE, _FIX_STORE)

    def _new_key(self, text: str) -> str:
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_CHARACTERS]


def _is_id(key: str) -> bool:
    return len(key) == _ID_CHARACTERS and not set(key) - set("0123456789abcdef")
