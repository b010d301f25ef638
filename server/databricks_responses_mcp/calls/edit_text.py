"""The result of ``edit_files`` as text: what happened to each file, and the diff."""

import re
from collections.abc import Callable
from typing import Any

from databricks_responses_mcp.visible import visible


def choose_preamble(tool: str, stored: str) -> str | Callable[[dict[str, Any]], str]:
    """Return the text before the model's own text: for an edit made of the facts, else the stored one."""
    return render_edit if tool == "edit_files" else stored


def render_edit(structured: dict[str, Any]) -> str:
    """Return what happened to the files, as the text before the model's own text."""
    lines = [_line(operation) for operation in structured.get("operations", [])]
    if new := structured.get("new_files"):
        created = "Created" if structured.get("applied") else "Would be created"
        lines.append(f"{created}: {', '.join(new)}")
    if diff := structured.get("diff"):
        applied = structured.get("applied")
        state = "These changes were written" if applied else "Nothing was written; the changes would be"
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", diff)), default=0))
        lines.append(f"{state} (paths are relative to {structured.get('directory', '')}):\n{fence}diff\n{diff}{fence}")
    if "preview_id" in structured and "error" not in structured:
        lines.append(
            "To write exactly this, once the user agrees, call edit_files with apply=true and "
            f'preview_id "{structured["preview_id"]}". No model is asked again.'
        )
    return "\n".join(lines)


def _line(operation: dict[str, Any]) -> str:
    line = f"{operation['type']} {visible(str(operation['path']))}: {operation['status']}"
    details = " ".join([operation.get("error", ""), *operation.get("notes", [])]).strip()
    return f"{line}. {details}" if details else line
