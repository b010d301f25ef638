"""Applying the operations of ``apply_patch`` calls to texts in memory, never to the disk."""

import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anyio.to_thread

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.patching import Mode, PatchError, PatchResult, apply_diff, unified_diff
from databricks_responses_mcp.responses.accumulator import Item

Admit = Callable[[str, str | None], Awaitable[None]]
"""Receives a file's name and its text after an operation (None: deleted); raises `PatchError` to refuse the operation.
"""

_LARGE = 50_000
_MAX_NAMES = 20
_MAX_NAME = 4096


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the model, and its result.

    Attributes:
        type: ``create_file``, ``update_file`` or ``delete_file``.
        path: the file's name, as in the request if it is known; empty if the operation names none.
        error: the reason of the failure; empty if it was applied.
        notes: remarks on how it was applied, a sentence each.
    """

    type: str
    path: str
    error: str = ""
    notes: tuple[str, ...] = ()

    def as_dict(self, status: str) -> dict[str, Any]:
        """Return the fields of the result; empty ones are left out, except the type, the path and the status.

        Args:
            status: the status of an operation that was applied; one that was not is ``failed``.
        """
        structured: dict[str, Any] = {
            "type": self.type,
            "path": self.path,
            "status": "failed" if self.error else status,
        }
        if self.error:
            structured["error"] = self.error
        if self.notes:
            structured["notes"] = list(self.notes)
        return structured


def conclude(structured: dict[str, Any], status: Literal["previewed", "written", "not_written"]) -> None:
    """Set the status of the applied operations in the fields of an edit's result."""
    structured["applied"] = status == "written"
    structured["operations"] = [
        operation if operation["status"] == "failed" else {**operation, "status": status}
        for operation in structured.get("operations", [])
    ]


class PatchSession:
    """The texts of files, and the operations that a model applies to them.

    Args:
        files: texts by name; a name is a path with ``/``.
        root: the directory that names are relative to; the model may write it before a name.
        admit: decides last about each operation.

    Attributes:
        before: the texts before the edit.
        after: the texts now.
        operations: all requested operations, in order.
    """

    def __init__(self, files: Mapping[str, str], *, root: str, admit: Admit) -> None:
        self.before = dict(files)
        self.after = dict(files)
        self.operations: list[Operation] = []
        self._root = root.replace("\\", "/").rstrip("/") + "/"
        self._admit = admit

    async def carry_out(self, call: Mapping[str, Any]) -> Item:
        """Apply a pending call, and return its output."""
        if call.get("type") != "apply_patch_call":
            return _no_such_tool(call)
        asked = call.get("operation")
        operation = asked if isinstance(asked, Mapping) else {}
        kind, path = _name_of(operation.get("type")), _name_of(operation.get("path"))
        try:
            if odd := [name for name in ("path", "diff") if not isinstance(operation.get(name), str | None)]:
                raise PatchError(f"{' and '.join(odd)} must be text.")
            if len(operation.get("path") or "") > _MAX_NAME:
                raise PatchError(f"the path has more than {_MAX_NAME} characters. Use a shorter one.")
            path = self._name(path)
            notes = await self._perform(kind, path, _text(operation.get("diff")))
        except PatchError as error:
            self.operations.append(Operation(kind, path, error=str(error)))
            return {"call_id": call.get("call_id"), "status": "failed", "output": f"Nothing was changed: {error}"}
        self.operations.append(Operation(kind, path, notes=tuple(notes)))
        return {"call_id": call.get("call_id"), "status": "completed", "output": " ".join(["Done.", *notes])}

    @property
    def unresolved(self) -> list[Operation]:
        """Operations that failed and were not followed by a successful one on the same file."""
        last = {operation.path: operation for operation in self.operations}
        return [operation for operation in last.values() if operation.error]

    @property
    def created(self) -> list[str]:
        """The names of the created files, sorted."""
        return sorted(self.after.keys() - self.before.keys())

    @property
    def changed(self) -> list[str]:
        """The names of the changed files, sorted."""
        names = sorted({*self.before, *self.after})
        return [name for name in names if self.before.get(name) != self.after.get(name)]

    async def diff(self) -> str:
        """Return all changes as one unified diff."""
        changes = [(name, self.before.get(name), self.after.get(name)) for name in self.changed]

        def rendered() -> str:
            return "".join(unified_diff(*change) for change in changes)

        return await anyio.to_thread.run_sync(rendered, abandon_on_cancel=True)

    async def _perform(self, kind: str, name: str, diff: str) -> list[str]:
        text: str | None = None
        notes: list[str] = []
        if kind == "create_file":
            if name in self.after:
                raise PatchError(f"{name} exists already. Change it with update_file.")
            text = (await _applied("", diff, "create")).text
        elif kind in ("update_file", "delete_file"):
            if name not in self.after:
                raise PatchError(f"there is no file {quoted(name)} here. {self._names()}")
            if kind == "update_file":
                result = await _applied(self.after[name], diff, "update")
                text, notes = result.text, result.notes
        else:
            raise PatchError(f"{quoted(kind)} is not an operation. Use create_file, update_file or delete_file.")
        await self._admit(name, text)
        if text is None:
            del self.after[name]
        else:
            self.after[name] = text
        return notes

    def _name(self, path: str) -> str:
        """Return the file name for a path that the model gave.

        Raises:
            PatchError: the path leaves the directory, or is invalid.
        """
        if path in self.before or path in self.after:
            return path
        plain = path.strip().replace("\\", "/").removeprefix(self._root)
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        name = "/".join(parts)
        alike = [known for known in self.after if _plain(known) == _plain(name)]
        if name not in self.after and len(alike) == 1:
            return alike[0]
        if not name or not name.isprintable():
            raise PatchError(f"{quoted(path)} is not the path of a file. {self._names()}")
        if ".." in parts or plain.startswith(("/", "~")) or plain[1:2] == ":":
            raise PatchError(
                f"the path {quoted(path)} leaves the directory of the files. Use relative paths without '..'."
            )
        return name

    def _names(self) -> str:
        names = sorted(self.after)
        more = ", …" if len(names) > _MAX_NAMES else ""
        return f"The files are: {', '.join(names[:_MAX_NAMES])}{more}." if names else "There are no files yet."


async def _applied(text: str, diff: str, mode: Mode) -> PatchResult:
    if len(text) + len(diff) < _LARGE:
        return apply_diff(text, diff, mode)
    return await anyio.to_thread.run_sync(apply_diff, text, diff, mode, abandon_on_cancel=True)


def _text(value: Any) -> str:
    """Return a value that should be a text; a model wrote it, so it may have another type."""
    return value if isinstance(value, str) else "" if value is None else repr(value)


def _name_of(value: Any) -> str:
    """Return a name for results: without characters that cannot be encoded, and no longer than a path."""
    if not isinstance(value, str):
        return ""
    return value[:_MAX_NAME].encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _plain(name: str) -> str:
    """Return the name without details that models lose: the kind of a space, and whether accents are composed."""
    return unicodedata.normalize("NFKC", name)


def _no_such_tool(call: Mapping[str, Any]) -> Item:
    """Return the output for a call of a tool that the request did not have."""
    if call.get("type") == "mcp_approval_request":
        return {"approval_request_id": call.get("approval_request_id"), "approve": False}
    words = "There is no such tool here. Use apply_patch."
    if call.get("type") == "shell_call":
        return {"call_id": call.get("call_id"), "stderr": words, "exit_code": 127}
    return {"call_id": call.get("call_id"), "output": words}
