"""Generated edits, and their rendering as V4A diffs by code that is independent of the engine."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from hypothesis import strategies as st

# Characters at which `str.splitlines` splits besides "\n", tabs, astral and combining characters.
_TEXT = st.text(alphabet="ab {}\t\f\v\x85\u2028é😀'\"-+@*\\", max_size=12).filter(lambda line: not line.endswith("\r"))


@dataclass(frozen=True)
class Edit:
    """A file's lines before and after."""

    before: list[str]
    after: list[str]

    @property
    def spans(self) -> list[tuple[str, int, int, int, int]]:
        return SequenceMatcher(None, self.before, self.after, autojunk=False).get_opcodes()

    def v4a(self, *, context: int = 3, end_marks: bool = True) -> str:
        """Return the edit as a V4A diff; a hunk that reaches the end of the file has an end mark."""
        pieces: list[str] = []
        matcher = SequenceMatcher(None, self.before, self.after, autojunk=False)
        for group in matcher.get_grouped_opcodes(context):
            pieces.append("@@\n")
            for tag, from1, to1, from2, to2 in group:
                if tag == "equal":
                    pieces += [f" {line}\n" for line in self.before[from1:to1]]
                else:
                    pieces += [f"-{line}\n" for line in self.before[from1:to1]]
                    pieces += [f"+{line}\n" for line in self.after[from2:to2]]
            if end_marks and group[-1][2] == len(self.before):
                pieces.append("*** End of File\n")
        return "".join(pieces)


def text_of(lines: list[str], newline: str = "\n") -> str:
    return "".join(line + newline for line in lines)


@st.composite
def edits(draw: st.DrawFn, *, unique: bool, most: int = 40) -> Edit:
    """Draw random files with random edits. ``unique``: no line occurs twice, so that every place is unambiguous."""
    lines = st.lists(_TEXT if unique else st.sampled_from(["", "a", "b", "}", " a", "a "]), max_size=most)
    before = draw(lines)
    if unique:
        before = [f"{line}{number}" for number, line in enumerate(before)]
    after = list(before)
    for number in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(after)))
        end = draw(st.integers(start, min(start + 3, len(after))))
        added = draw(st.lists(_TEXT if unique else st.sampled_from(["", "a", "new"]), max_size=3))
        after[start:end] = [f"{line}n{number}_{at}" for at, line in enumerate(added)] if unique else added
    return Edit(before, after)
