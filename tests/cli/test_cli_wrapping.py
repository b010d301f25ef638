"""Text on a terminal: broken at words, and whatever is copied from it whole."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.cli.wrapping import Wrapper, cells

TEXT = """\
A paragraph that is too long is wrapped at words, never inside conv_0123456789abcdef0123456789abcdef.

- a bullet that goes on beyond the end of the line
  1. a nested item that goes on beyond the end of it

```python
def f(): return "a line of code that is too long stays as it is"
```
| a table | whose cells are too long stays as it is |
    indented code that is too long stays as it is
two spaces at the end\x20\x20
\u6f22\u5b57 \u6f22\u5b57\u6f22\u5b57\u6f22\u5b57 \u6f22\u5b57\u6f22\u5b57\u6f22\u5b57 \u6f22\u5b57\u6f22\u5b57
"""


def wrapped(text: str, columns: int, size: int) -> str:
    """``text`` as it is written when it arrives in pieces of this size."""
    wrapper = Wrapper(columns)
    pieces = [wrapper.feed(text[start : start + size]) for start in range(0, len(text), size)]
    return "".join(pieces) + wrapper.finish()


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_lines_are_broken_between_words_and_code_is_not(size: int) -> None:
    assert wrapped(TEXT, 40, size) == snapshot("""\
A paragraph that is too long is wrapped
at words, never inside
conv_0123456789abcdef0123456789abcdef.

- a bullet that goes on beyond the end
  of the line
  1. a nested item that goes on beyond
     the end of it

```python
def f(): return "a line of code that is too long stays as it is"
```
| a table | whose cells are too long stays as it is |
    indented code that is too long stays as it is
two spaces at the end  \n\
漢字 漢字漢字漢字 漢字漢字漢字 漢字漢字
""")


@given(st.text(alphabet="ab-_|`~ \n\t1.*4\u6f22", max_size=200), st.integers(20, 60), st.integers(1, 50))
def test_only_space_between_words_changes(text: str, columns: int, size: int) -> None:
    out = wrapped(text, columns, size)
    assert out.split() == text.split()
    assert out.count("\n") >= text.count("\n")


@given(st.lists(st.text(alphabet="abc\u6f22", min_size=1, max_size=9), max_size=60), st.integers(20, 60))
def test_no_line_is_longer_than_the_terminal(words: list[str], columns: int) -> None:
    assert all(cells(line) < columns for line in wrapped(" ".join(words), columns, 7).splitlines())


def test_a_word_without_end_is_written_as_it_comes() -> None:
    wrapper = Wrapper(40)
    written = "".join(wrapper.feed("x" * 1000) for _ in range(1000))
    assert len(written) > 990_000
    assert re.fullmatch("x*", written + wrapper.finish())
