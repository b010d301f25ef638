r"""V4A diffs, the format of ``apply_patch``: parsing, applying to a text, rendering as a unified diff. No I/O.

The format is described in OpenAI's guide to the ``apply_patch`` tool and in its prompting guides. Where those are
unambiguous, this engine behaves like ``apply_diff`` of OpenAI's Agents SDK; the tests compare the two. It differs
where guessing would damage a file, or where a model's intention is clear although the form is wrong:

* A hunk that only adds lines and has no anchor, context or end mark is refused, unless the file is empty. (Other
  engines add it at the start or at the end of the file.)
* An anchor (``@@ text``) may be a part of a line (``@@ class A`` finds ``class A(Base):``). An anchor that is not found
  is ignored only if the context fits in exactly one place; a context above its anchor is refused.
* The line of an anchor may be repeated as context.
* If an anchor also occurs above the previous hunk, the next occurrence is used, unless the previous hunk was in the
  anchor's block. An anchor that occurs only above counts as not found. A hunk that only adds lines is placed directly
  below its anchor.
* Typographic quotes, dashes, spaces and invisible characters match their ASCII equivalents as a last resort.
* Context after one hunk may be repeated as context before the next.
* Blank lines without a prefix between and after hunks are ignored if they do not fit.
* A new file ends with a newline and has the line endings of the diff; blank lines in it need no ``+``.
* Adding below the blank line that follows a final newline keeps a final newline.
* Mixed line endings are kept for each line. A byte order mark is part of the first line only if the diff contains it.
* ``\ No newline at end of file``, numbered ``@@ -1,2 +1,3 @@`` headers (which choose among several places), the file
  headers of unified diffs, and an envelope around the diff of one file are accepted.

In a file, a carriage return that is not followed by a line feed is content. At the end of a line of the diff it is part
of that line's ending.
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
