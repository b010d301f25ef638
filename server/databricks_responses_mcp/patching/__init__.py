r"""V4A diffs, the format of ``apply_patch``: read, apply to a text, show as a unified diff. Pure: no I/O.

The format is described in OpenAI's guide to the ``apply_patch`` tool and in its prompting guides. Where those are
plain, this engine does what the ``apply_diff`` of OpenAI's own Agents SDK does, which the tests demand. It differs on
purpose where guessing would damage a file, or where a model's meaning is plain although its form is not:

* A hunk that only adds lines and has no anchor, context or end mark is refused, unless the file is empty. (Elsewhere
  it goes to the top of the file, or to its end.)
* An anchor (``@@ text``) may be a part of a line (``@@ class A`` finds ``class A(Base):``). One that is not found is
  passed over only if the context fits in exactly one place; a context above its anchor is refused.
* The line of an anchor may be repeated as context.
* An anchor that also stands above the previous hunk moves on to the next one like it, unless the previous hunk was in
  its block. One that stands only above counts as not found, and a hunk that only adds goes right below its anchor.
* Typographic quotes, dashes, spaces and invisible characters match their plain kin, as a last resort.
* Context after one hunk may be repeated as context before the next.
* Blank lines without a prefix between and after hunks are passed over if they do not fit.
* A new file ends with a newline, with the line endings of the diff; blank lines in it need no ``+``.
* Adding below the blank line that follows a final newline keeps a final newline.
* Mixed line endings are kept line by line. A byte order mark is not a part of the first line unless the diff says so.
* ``\ No newline at end of file``, numbered ``@@ -1,2 +1,3 @@`` headers (which choose among several fits), the file
  headers of unified diffs, and an envelope around the diff of one file are understood.

A carriage return that does not stand before a line feed is content in a file; at the end of a diff's line it is that
line's ending.
"""

from databricks_responses_mcp.patching.application import AppliedHunk, Mode, PatchResult, apply_diff
from databricks_responses_mcp.patching.envelope import Operation, OperationType, parse_patch
from databricks_responses_mcp.patching.failure import Candidate, PatchError
from databricks_responses_mcp.patching.hunks import DiffLine, Hunk, parse_created, parse_diff
from databricks_responses_mcp.patching.search import Match
from databricks_responses_mcp.patching.unified import unified_diff

__all__ = [
    "AppliedHunk",
    "Candidate",
    "DiffLine",
    "Hunk",
    "Match",
    "Mode",
    "Operation",
    "OperationType",
    "PatchError",
    "PatchResult",
    "apply_diff",
    "parse_created",
    "parse_diff",
    "parse_patch",
    "unified_diff",
]
