"""Where the operations of ``apply_patch`` calls are carried out: on texts in memory, never on the disk."""

import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anyio.to_thread

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.patching import Mode, PatchError, PatchResult, apply_diff, unified_diff
from databricks_responses_mcp.responses.accumulator import Item

Admit = Callable[[str, str | None], Awaitable[None]]
"""Given a file's name and the text that an operation leaves it with (None: deleted); raises `PatchError` to refuse."""

_LARGE = 50_000
_MAX_NAMES = 20
_MAX_NAME = 4096


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that the model asked for, and what became of it.

    Attributes:
        type: ``create_file``, ``update_file`` or ``delete_file``.
        path: the file's name, as the model was told it where it is known; empty if the operation names none.
        error: why it failed; empty if it was carried out.
        notes: what was not plain about it, a sentence each.
    """

    type: str
    path: str
    error: str = ""
    notes: tuple[str, ...] = ()

    def as_dict(self, status: str) -> dict[str, Any]:
        """The result contract's fields; what is empty is absent, but for the type, the path and the status.

        Args:
            status: of an operation that fits; one that does not is ``failed``.
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
    """Say in the facts of an edit what became of the operations that fit."""
    structured["applied"] = status == "written"
    structured["operations"] = [
        operation if operation["status"] == "failed" else {**operation, "status": status}
        for operation in structured.get("operations", [])
    ]


class PatchSession:
    """Files as texts, and what a model does to them.

    Args:
        files: texts by name; a name is a path with ``/``.
        root: the directory that names are relative to; the model may put it before a name.
        admit: has the last word on each operation.

    Attributes:
        before: the texts as they were.
        after: the texts as they are now.
        operations: everything that was asked for, in order.
    """

    def __init__(self, files: Mapping[str, str], *, root: str, admit: Admit) -> None:
        self.before = dict(files)
        self.after = dict(files)
        self.operations: list[Operation] = []
        self._root = root.replace("\\", "/").rstrip("/") + "/"
        self._admit = admit

    async def carry_out(self, call: Mapping[str, Any]) -> Item:
        """Carry out a call that waits; gives what to answer it with."""
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
        """Operations that failed and were not followed by one on the same file that did not."""
        last = {operation.path: operation for operation in self.operations}
        return [operation for operation in last.values() if operation.error]

    @property
    def created(self) -> list[str]:
        """The names of the files that are new, in order."""
        return sorted(self.after.keys() - self.before.keys())

    @property
    def changed(self) -> list[str]:
        """The names of the files that are not what they were, in order."""
        names = sorted({*self.before, *self.after})
        return [name for name in names if self.before.get(name) != self.after.get(name)]

    async def diff(self) -> str:
        """Everything that has changed, as one unified diff."""
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
        """The name that a path of the model's means.

        Raises:
            PatchError: it leaves the directory, or is no path.
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
    """What should be a text, and need not be one: a model wrote it."""
    return value if isinstance(value, str) else "" if value is None else repr(value)


def _name_of(value: Any) -> str:
    """The same of a name, which is repeated in results: without what no encoding has, and not longer than paths are."""
    if not isinstance(value, str):
        return ""
    return value[:_MAX_NAME].encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _plain(name: str) -> str:
    """The name without what models lose of it: the kind of a space, and whether accents are composed."""
    return unicodedata.normalize("NFKC", name)


def _no_such_tool(call: Mapping[str, Any]) -> Item:
    """What answers a call of a tool that was never offered."""
    if call.get("type") == "mcp_approval_request":
        return {"approval_request_id": call.get("approval_request_id"), "approve": False}
    words = "There is no such tool here. Use apply_patch."
    if call.get("type") == "shell_call":
        return {"call_id": call.get("call_id"), "stderr": words, "exit_code": 127}
    return {"call_id": call.get("call_id"), "output": words}
