"""Whole answers that were too long for a result, for the resource ``answer://``."""

from collections import OrderedDict
from threading import Lock

_MAX_CHARACTERS = 32_000_000


class LongTexts:
    """The long texts of one user, in memory and numbered; the oldest are removed when there are too many.

    Attributes:
        kept_for: how long texts are stored, in words.
    """

    kept_for = "while the server runs, the newest first"

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._characters = 0
        self._count = 0
        self._lock = Lock()  # large results are made in threads

    def keep(self, text: str) -> str:
        """Remember ``text``; returns the URI that it can be read at, the same for the same text.

        `save` must be awaited before the URI is sent to a client.
        """
        with self._lock:
            known = next((key for key, kept in reversed(self._texts.items()) if kept == text), None)
            if known is not None:
                return f"answer://{known}"
            key = self._new_key(text)
            self._texts[key] = text
            self._characters += len(text)
            while self._characters > _MAX_CHARACTERS and len(self._texts) > 1:
                self._characters -= len(self._texts.popitem(last=False)[1])
            return f"answer://{key}"

    async def save(self) -> None:
        """Put the texts of `keep` where they are read from."""

    async def read(self, key: str) -> str | None:
        """Return the text by the last part of its URI; None if it is not stored.

        Raises:
            BridgeError: ``internal`` if that cannot be found out.
        """
        return self._texts.get(key)

    def _new_key(self, text: str) -> str:
        self._count += 1
        return f"{self._count}"
