"""A small patch in the V4A format, for a file that the conversation mentions."""

import re
from dataclasses import dataclass
from typing import Literal

from databricks_workspace_emulator.conversation import Conversation

_MISFIT = re.compile(r"\[\[\s*misfit\s*(\d{0,3})\s*\]\]")
_ENDINGS = "py|js|tsx?|go|rs|java|c|h|cpp|rb|sh|md|txt|toml|json|ya?ml|sql|html|css"
_PATH = re.compile(rf"(?<![\w/.@:-])(?:[\w.-]+/)*[\w-]+\.(?:{_ENDINGS})\b")
_FENCED = re.compile(r"(?P<before>[^\n]*)\n?```[\w+-]*(?P<info>[^\n]*)\n(?P<body>.*?)\n?```", re.DOTALL)
_COMMENT = {".js": "//", ".ts": "//", ".tsx": "//", ".go": "//", ".rs": "//", ".java": "//", ".c": "//", ".h": "//"}
_COMMENT |= {".cpp": "//", ".sql": "--", ".md": "<!--", ".html": "<!--", ".css": "/*"}
_CLOSING = {"<!--": " -->", "/*": " */"}


@dataclass(frozen=True, slots=True)
class Patch:
    """One file operation."""

    type: Literal["create_file", "update_file"]
    path: str
    diff: str


def write_patch(talk: Conversation) -> Patch:
    """Return a patch for the first file whose text is known, else for the first named file, else for a new one."""
    known = known_files(talk)
    if known:
        path, text = next(iter(known.items()))
        if _misfits(talk) > len(talk.outputs):
            return Patch("update_file", path, f"@@\n this line is in no file\n+{_comment(path)}\n")
        return Patch("update_file", path, _insert_comment(path, text))
    named = _PATH.search(talk.prompt)
    path = named[0] if named else "notes.md"
    return Patch("create_file", path, f"+{_comment(path)}\n+{_body(path)}\n")


def must_correct(talk: Conversation) -> bool:
    """Return whether a patch that was requested not to fit has been reported as failed."""
    return bool(talk.outputs) and talk.outputs[-1].failed and _misfits(talk) >= len(talk.outputs)


def _misfits(talk: Conversation) -> int:
    """Return how many patches of this question are requested not to fit."""
    wanted = _MISFIT.search(talk.prompt)
    return int(wanted[1] or 1) if wanted else 0


def envelope(patch: Patch) -> str:
    """Return the patch as free text, in the envelope that a patch tool of the ``custom`` type accepts."""
    word = "Add" if patch.type == "create_file" else "Update"
    return f"*** Begin Patch\n*** {word} File: {patch.path}\n{patch.diff}*** End Patch\n"


def known_files(talk: Conversation) -> dict[str, str]:
    """Return files whose text is in the conversation: attached ones, and code blocks with a path above or in their
    head.
    """
    found = dict(talk.files)
    for block in _FENCED.finditer(talk.prompt):
        path = _PATH.search(block["info"]) or _PATH.search(block["before"])
        if path:
            found.setdefault(path[0], block["body"] + "\n")
    return {path: text for path, text in found.items() if text.strip()}


def _insert_comment(path: str, text: str) -> str:
    # After the first line that occurs once, so that the hunk fits at only one place.
    lines = text.splitlines()
    place = next((line for line in lines if line.strip() and lines.count(line) == 1), lines[0])
    return f"@@\n {place}\n+{_comment(path)}\n"


def _comment(path: str) -> str:
    mark = _COMMENT.get(path[path.rfind(".") :], "#")
    return f"{mark} Changed by the embedded workspace, no model asked{_CLOSING.get(mark, '')}"


def _body(path: str) -> str:
    return {".py": "pass", ".json": "{}", ".sh": "true"}.get(path[path.rfind(".") :], "")
