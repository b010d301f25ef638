"""Rendering a change of a file as a unified diff that ``git apply`` and ``patch`` accept."""

from collections.abc import Iterator

from databricks_responses_mcp.patching.comparison import Block, common_blocks

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
}
_NO_NEWLINE = "\\ No newline at end of file\n"

Edit = tuple[int, int, int, int]
"""``(from1, to1, from2, to2)``: lines of the old text that are replaced by lines of the new text."""


def unified_diff(
    path: str, before: str | None, after: str | None, *, new_path: str | None = None, context: int = 3
) -> str:
    r"""Return the change of one file as a unified diff with git's headers; "" if nothing changes.

    ``before`` or ``after`` is None if the file does not exist then; ``new_path`` is the path after a rename. Lines end
    at ``\n`` only; a ``\r`` before it is content. ``path`` uses ``/``.
    """
    target = new_path if new_path is not None else path
    if before == after and target == path:
        return ""
    old, new = _split_lines(before), _split_lines(after)
    header = f"diff --git {_quote_path('a/', path)} {_quote_path('b/', target)}\n"
    if before is None:
        header += "new file mode 100644\n"
    elif after is None:
        header += "deleted file mode 100644\n"
    elif target != path:
        header += f"rename from {_quote_path('', path)}\nrename to {_quote_path('', target)}\n"
    if old == new:
        # For an empty file git requires the hashes; these are the ones of empty content.
        if before is None:
            header += "index 0000000..e69de29\n"
        elif after is None:
            header += "index e69de29..0000000\n"
        return header
    shown_old = "/dev/null" if before is None else _quote_path("a/", path, tab=True)
    shown_new = "/dev/null" if after is None else _quote_path("b/", target, tab=True)
    pieces = [header, f"--- {shown_old}\n", f"+++ {shown_new}\n"]
    for group in _group_edits(_edits_between(common_blocks(old, new), len(old), len(new)), context):
        pieces += _render_hunk(old, new, group, context)
    return "".join(pieces)


def _split_lines(text: str | None) -> list[str]:
    if not text:
        return []
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _quote_path(prefix: str, path: str, *, tab: bool = False) -> str:
    """Return a path as git writes it: quoted if it has control characters, quotes or backslashes."""
    name = prefix + path
    if any(character < " " or character in '"\\\x7f' for character in name):
        escaped = (_ESCAPES.get(c, f"\\{ord(c):03o}" if c < " " or c == "\x7f" else c) for c in name)
        return '"' + "".join(escaped) + '"'
    return f"{name}\t" if tab and " " in name else name


def _edits_between(blocks: list[Block], size1: int, size2: int) -> Iterator[Edit]:
    """Yield the edits between the common runs."""
    at1 = at2 = 0
    for start1, start2, size in [*blocks, (size1, size2, 0)]:
        if start1 > at1 or start2 > at2:
            yield at1, start1, at2, start2
        at1, at2 = start1 + size, start2 + size


def _group_edits(edits: Iterator[Edit], context: int) -> Iterator[list[Edit]]:
    """Group edits whose context would overlap or be adjacent."""
    group: list[Edit] = []
    for edit in edits:
        if group and edit[0] - group[-1][1] > 2 * context:
            yield group
            group = []
        group.append(edit)
    if group:
        yield group


def _render_hunk(old: list[str], new: list[str], group: list[Edit], context: int) -> list[str]:
    start1 = max(group[0][0] - context, 0)
    start2 = group[0][2] - (group[0][0] - start1)
    end1 = min(group[-1][1] + context, len(old))
    end2 = group[-1][3] + (end1 - group[-1][1])
    pieces = [f"@@ -{_line_range(start1, end1)} +{_line_range(start2, end2)} @@\n"]
    at = start1
    for from1, to1, from2, to2 in group:
        pieces += [_render_line(" ", line) for line in old[at:from1]]
        pieces += [_render_line("-", line) for line in old[from1:to1]]
        pieces += [_render_line("+", line) for line in new[from2:to2]]
        at = to1
    pieces += [_render_line(" ", line) for line in old[at:end1]]
    return pieces


def _line_range(start: int, end: int) -> str:
    """Return a range of lines in the format's notation: an empty range has the number of the line before it."""
    size = end - start
    return f"{start + 1 if size else start},{size}" if size != 1 else str(start + 1)


def _render_line(prefix: str, line: str) -> str:
    return prefix + line if line.endswith("\n") else f"{prefix}{line}\n{_NO_NEWLINE}"
