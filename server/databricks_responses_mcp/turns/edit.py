"""Editing files with ``apply_patch``: applying operations, sending their results to the model, correcting failures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databricks_responses_mcp.errors import BridgeError, convert_exceptions
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_responses_mcp.turns.outcome import Outcome, add_usage
from databricks_responses_mcp.turns.patch_session import Admit, Operation, PatchSession

MAX_STEPS = 8
"""The maximum number of requests in one edit."""

_INSTRUCTIONS = """\
You edit files with the apply_patch tool. The user's message contains the files, each line unchanged.
Name files by the paths given there; new files get paths relative to the same directory. Only these files can be \
updated or deleted. After each operation you get its result. One that failed has changed nothing: \
correct it and send it again. When everything is done, say in a few sentences what you changed and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The request of a caller for an edit.

    Attributes:
        files: texts by name, with their own line endings; a name is a path with ``/``, relative to ``root``.
        root: the absolute directory that the names are relative to.
        new_files: names of files to create.
        model: the serving endpoint; None uses the default.
        conversation_id: an earlier conversation to continue, which the model sees.
    """

    instruction: str
    files: Mapping[str, str]
    root: str = ""
    new_files: Sequence[str] = ()
    model: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The result of an edit; nothing has been written.

    Attributes:
        outcome: the last answer.
        text: all text of the model.
        after: the texts of all files after the edit, by name.
        changed: names of the changed, created or deleted files.
        created: names of the created files.
        diff: the changes as a unified diff.
        operations: all operations of the model, in order.
        unresolved: operations that failed and were not corrected.
        usage: the token counts of all turns together.
        is_stopped: whether the model had not finished after `MAX_STEPS` requests.
    """

    outcome: Outcome
    text: str
    after: Mapping[str, str]
    changed: list[str]
    created: list[str]
    diff: str
    operations: list[Operation]
    unresolved: list[Operation]
    usage: dict[str, Any]
    is_stopped: bool

    @property
    def is_whole(self) -> bool:
        """Whether the model finished, and no failed operation is left."""
        return not self.is_stopped and not self.unresolved and self.outcome.status == "completed"

    def structured(self) -> dict[str, Any]:
        """Return the fields of the result; unknown or empty ones are left out, except ``text`` and ``diff``."""
        structured = self.outcome.as_dict()
        for name in ("output", "pending_calls", "citations"):  # part of the operations
            structured.pop(name, None)
        structured |= _facts(self.text, self.diff, self.operations, self.usage)
        if self.created:
            structured["new_files"] = self.created
        if self.is_stopped:
            # The model waits for an output that only this edit could give.
            structured.pop("conversation_id", None)
            note = f"The model was asked {MAX_STEPS} times, which is the most, and was not done."
            _make_incomplete(structured, "max_steps", note)
        elif not self.operations:
            structured["notes"] = [*structured.get("notes", []), "The model proposed no change."]
        elif self.unresolved and self.outcome.status == "completed":
            paths = ", ".join(dict.fromkeys(repr(operation.path) for operation in self.unresolved))
            _make_incomplete(structured, "failed_operations", f"Operations that failed were not corrected: {paths}.")
        return structured


def _make_incomplete(structured: dict[str, Any], reason: str, note: str) -> None:
    structured |= {"status": "incomplete", "incomplete_reason": reason, "notes": [*structured.get("notes", []), note]}


async def edit(bridge: Bridge, wanted: Edit, call: CallContext | None = None, *, admit: Admit) -> Edited:
    """Let a model edit texts in memory until it finishes or `MAX_STEPS` requests were sent, under one deadline.

    Args:
        call: the call in flight; without it the function makes its own, with the time limit of the settings.
        admit: decides whether each operation may be applied.

    Raises:
        BridgeError: for every failure of a turn; ``partial`` has ``diff`` and ``operations`` so far.
    """
    call = call or CallContext.start(bridge.settings)
    session = PatchSession(wanted.files, root=wanted.root, admit=admit)
    said: list[str] = []
    usage: dict[str, Any] | None = None
    prompt = "\n\n".join(part for part in (wanted.instruction, _wanted(wanted), shown_files(wanted.files)) if part)
    # A conversation keeps its own instructions.
    goes_on = wanted.conversation_id is not None
    question = AskRequest(
        prompt=f"{_INSTRUCTIONS}\n\n{prompt}" if goes_on else prompt,
        model=wanted.model,
        instructions=None if goes_on else _INSTRUCTIONS,
        tools=[{"type": "apply_patch"}],
        conversation_id=wanted.conversation_id,
    )
    steps = 0
    try:
        with convert_exceptions("Editing"):
            outcome = await ask(bridge, question, call)
            while True:
                steps += 1
                said.append(outcome.text)
                usage = add_usage(usage, outcome.usage)
                if not outcome.pending_calls:
                    break
                async with call.deadline.bounds("applying the model's changes"):
                    outputs = [await session.carry_out(pending) for pending in outcome.pending_calls]
                if steps == MAX_STEPS:
                    break
                if call.reporter is not None:
                    await call.reporter.say(_progress(session))
                outcome = await answer_calls(bridge, str(outcome.conversation_id), outputs, call)
    except BridgeError as error:
        partial = error.partial
        usage = add_usage(usage, partial.get("usage"))
        text = _joined([*said, str(partial.get("text", ""))])
        structured = _facts(text, await session.diff(), session.operations, usage)
        kept = {key: value for key, value in partial.items() if key not in ("output", "pending_calls", "citations")}
        raise error.with_partial({**kept, **structured} if steps or partial else {}) from error
    return Edited(
        outcome=outcome,
        text=_joined(said),
        after=session.after,
        changed=session.changed,
        created=session.created,
        diff=await session.diff(),
        operations=session.operations,
        unresolved=session.unresolved,
        usage=usage or {},
        is_stopped=bool(outcome.pending_calls),
    )


def shown_files(files: Mapping[str, str]) -> str:
    """Return the files for a model: their lines without carriage returns, in fences that no text can close."""
    return "\n\n".join(_shown(name, text) for name, text in files.items())


def _wanted(edit: Edit) -> str:
    return f"New files that are wanted: {', '.join(edit.new_files)}" if edit.new_files else ""


def _shown(name: str, text: str) -> str:
    # The code that applies the diff preserves line endings; models write "\r" incorrectly.
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text:
        return f"File: {name} (empty)"
    count = text.count("\n") + (not text.endswith("\n"))
    about = f"{count} line{'s' * (count != 1)}"
    if not text.endswith("\n"):
        about += ", without a newline at the end"
        text += "\n"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"File: {name} ({about})\n{fence}\n{text}{fence}"


def _facts(text: str, diff: str, operations: list[Operation], usage: dict[str, Any] | None) -> dict[str, Any]:
    structured: dict[str, Any] = {
        "text": text,
        "diff": diff,
        "operations": [operation.as_dict("previewed") for operation in operations],
    }
    return {**structured, "usage": usage} if usage else structured


def _joined(texts: list[str]) -> str:
    return "\n\n".join(text for text in texts if text)


def _progress(session: PatchSession) -> str:
    failed = sum(bool(operation.error) for operation in session.operations)
    done = len(session.operations) - failed
    return f"{done} operation{'s' * (done != 1)} applied, {failed} failed; the model continues"
