"""Editing files with ``apply_patch``: operations are tried, answered with what came of them, and corrected."""

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
"""How often the model is asked in one edit."""

_INSTRUCTIONS = """\
You edit files with the apply_patch tool. The user's message holds the files as they are, each line as it stands.
Name files by the paths given there; new files get paths relative to the same directory. Only these files can be \
updated or deleted. After each operation you are told whether it was carried out. One that failed has changed nothing: \
correct it and send it again. When everything is done, say in a few sentences what you changed and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What a caller wants changed.

    Attributes:
        files: texts by name, newlines untranslated; a name is a path with ``/``, relative to ``root``.
        root: the directory that the names are relative to, absolute.
        new_files: names of files that the caller wants created.
        model: the serving endpoint; None takes the default.
        conversation_id: an earlier conversation to edit in: the model knows what was said there.
    """

    instruction: str
    files: Mapping[str, str]
    root: str = ""
    new_files: Sequence[str] = ()
    model: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What a model made of the files; nothing is written.

    Attributes:
        outcome: the last answer.
        text: everything that the model said.
        after: texts by name, of all files that there are now.
        changed: names of the files that were changed, made or deleted.
        created: names of those that are new.
        diff: the changes as a unified diff.
        operations: what the model asked for, in order.
        unresolved: those of them that failed and were not corrected.
        usage: token counts of all turns together.
        is_stopped: whether the model was still at it when it had been asked `MAX_STEPS` times.
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
        """Whether the model came to its end, with nothing left that had failed."""
        return not self.is_stopped and not self.unresolved and self.outcome.status == "completed"

    def structured(self) -> dict[str, Any]:
        """The result contract's fields; what is not known or empty is absent, but for ``text`` and ``diff``."""
        structured = self.outcome.as_dict()
        for name in ("output", "pending_calls", "citations"):  # the operations say it
            structured.pop(name, None)
        structured |= _facts(self.text, self.diff, self.operations, self.usage)
        if self.created:
            structured["new_files"] = self.created
        if self.is_stopped:
            # The model waits for an answer that nobody but this edit could give.
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
    """Have a model edit texts, in memory, until it is done or was asked `MAX_STEPS` times; all under one deadline.

    Args:
        call: the call in flight; without it a call of its own, under the time limit of the settings.
        admit: decides whether each operation may be carried out.

    Raises:
        BridgeError: for every failure of a turn; ``partial`` holds ``diff`` and ``operations`` as far as they came.
    """
    call = call or CallContext.start(bridge.settings)
    session = PatchSession(wanted.files, root=wanted.root, admit=admit)
    said: list[str] = []
    usage: dict[str, Any] | None = None
    prompt = "\n\n".join(part for part in (wanted.instruction, _wanted(wanted), shown_files(wanted.files)) if part)
    # A conversation's own instructions stay as they are.
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
    """The files for a model: each line as it stands, but for carriage returns, in fences that no text can close."""
    return "\n\n".join(_shown(name, text) for name, text in files.items())


def _wanted(edit: Edit) -> str:
    return f"New files that are wanted: {', '.join(edit.new_files)}" if edit.new_files else ""


def _shown(name: str, text: str) -> str:
    # Line endings are kept by whoever applies the diff: a model that had to write "\r" would only get it wrong.
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
    return f"{done} operation{'s' * (done != 1)} carried out, {failed} failed; the model goes on"
