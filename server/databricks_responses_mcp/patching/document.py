"""A file's text as lines with their own endings, so that an edit keeps all other bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Change:
    """The replacement of lines ``start`` to ``end`` (0-based, end exclusive) of a document by ``added``."""

    start: int
    end: int
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    r"""Lines split at ``\n`` only; a ``\r`` directly before it is part of the line's ending.

    A text that ends with a newline has an empty last line, so the final newline is represented by a line.

    Attributes:
        bom: whether a byte order mark was removed from the start.
        texts: the lines without their endings, at least one.
        endings: the ending of each line; that of the last one is empty.
    """

    bom: bool
    texts: list[str]
    endings: list[str]

    @classmethod
    def of(cls, text: str, *, keep_bom: bool = False) -> "Document":
        """Split a text. With ``keep_bom`` a byte order mark remains part of the first line."""
        bom = text.startswith(BOM) and not keep_bom
        parts = (text[1:] if bom else text).split("\n")
        texts: list[str] = []
        endings: list[str] = []
        for part in parts[:-1]:
            carriage = part.endswith("\r")
            texts.append(part[:-1] if carriage else part)
            endings.append("\r\n" if carriage else "\n")
        return cls(bom=bom, texts=[*texts, parts[-1]], endings=[*endings, ""])

    @property
    def size(self) -> int:
        """The number of lines, including the empty one after a final newline."""
        return len(self.texts)

    @property
    def ends_with_newline(self) -> bool:
        """Whether the last line is the empty one after a final newline."""
        return self.size > 1 and not self.texts[-1]

    @property
    def end(self) -> int:
        """The position of a line that is appended to the file: before the empty last line."""
        return self.size if self.texts[-1] else self.size - 1

    def apply_changes(self, changes: Sequence[Change], final_newline: bool | None = None) -> str:
        """Return the text with the changes, which must be in order and not overlap.

        An added line gets the ending of the line that it replaces, or of its neighbour. ``final_newline`` adds a final
        newline (true) or removes it (false); None leaves it to the lines.
        """
        texts: list[str] = []
        endings: list[str] = []
        done = 0
        for change in changes:
            texts += self.texts[done : change.start]
            endings += self.endings[done : change.start]
            for number, line in enumerate(change.added):
                texts.append(line)
                endings.append(self._ending_of_added_line(change, number))
            done = change.end
        texts += self.texts[done:]
        endings += self.endings[done:]
        if final_newline is True and texts and (texts[-1] or not self.ends_with_newline):
            texts.append("")
            endings.append("")
        elif final_newline is False and len(texts) > 1 and not texts[-1]:
            texts.pop()
            endings.pop()
        return (BOM if self.bom else "") + self._join(texts, endings)

    def _ending_of_added_line(self, change: Change, number: int) -> str:
        replaces = change.start < change.end
        at = min(change.start + number, change.end - 1) if replaces else max(change.start - 1, 0)
        return self.endings[at] or self._default_ending

    @property
    def _default_ending(self) -> str:
        return self.endings[-2] if self.size > 1 else "\n"

    def _join(self, texts: list[str], endings: list[str]) -> str:
        if not texts:
            return ""
        fallback = self._default_ending
        body = [text + (ending or fallback) for text, ending in zip(texts[:-1], endings[:-1], strict=True)]
        return "".join([*body, texts[-1]])
