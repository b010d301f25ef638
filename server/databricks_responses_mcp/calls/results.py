"""Results of tool calls: the same facts as text and as structured output."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from mcp.types import CallToolResult, ContentBlock, ErrorData, InputRequiredResult, TextContent
from pydantic import PrivateAttr

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.calls.jobs import ResultRecord, RunningJob
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.calls.truncation import CHARACTERS_PER_TOKEN, JsonTexts, fitted
from databricks_responses_mcp.errors import Action, Advice, AdviceWords, BridgeError, ErrorCode
from databricks_responses_mcp.hosts.limits import HostLimits
from databricks_responses_mcp.visible import visible

logger = logging.getLogger(__name__)
T = TypeVar("T")

_ITEM_CHARACTERS = 2000
_LARGE_CHARACTERS = 256 * 1024
_encode = json.JSONEncoder(ensure_ascii=False).encode

Preamble = str | Callable[[dict[str, Any]], str]
"""The text before the model's own text, such as where an image is; or a function that makes it from the truncated
facts.
"""


WHOLE_RESULT = "call_tool_result"
"""The field that stores the unchanged result of a tool that is not part of this project."""

PROTOCOL_ERROR = "protocol_error"
"""The field that stores the JSON-RPC error of a failed tool."""


class RecordedResult(CallToolResult):
    """A result with its record, which is not sent to the host."""

    _record: ResultRecord = PrivateAttr(default_factory=ResultRecord)

    @property
    def record(self) -> ResultRecord:
        """The source of the result, before it was truncated to what the host accepts."""
        return self._record


class RecordedQuestion(InputRequiredResult):
    """A question to the user, with the record of the call so far."""

    _record: ResultRecord | None = PrivateAttr(default=None)

    @property
    def record(self) -> ResultRecord | None:
        """What is stored of the call if the host does not call again."""
        return self._record


def record_of(tool: str, result: CallToolResult | InputRequiredResult | ErrorData) -> ResultRecord | None:
    """Return what is stored of a tool's result; None for a question of a tool that is not part of this project."""
    if isinstance(result, RecordedResult | RecordedQuestion):
        return result.record
    if isinstance(result, CallToolResult):
        return ResultRecord({WHOLE_RESULT: dumped(result)})
    if isinstance(result, ErrorData):
        error = BridgeError(ErrorCode.INTERNAL, f"{tool} failed: {result.message}", "Correct the call and try again.")
        return ResultRecord({PROTOCOL_ERROR: result.model_dump(mode="json", exclude_none=True)}, error=error)
    return None


def dumped(result: CallToolResult) -> dict[str, Any]:
    """Return a result as it is sent."""
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def _is_large(structured: Mapping[str, Any]) -> bool:
    """Return whether a result has so much text that making it would hold the event loop for milliseconds."""
    characters = 0
    waiting: list[Any] = [structured]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            characters += len(value)
            if characters > _LARGE_CHARACTERS:
                return True
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return False


async def in_thread_if_large(make: Callable[[], T], structured: Mapping[str, Any]) -> T:
    """Return what ``make`` returns; called in a thread if the fields of the result are large.

    Args:
        make: makes the result.
        structured: the fields of the result.
    """
    return await anyio.to_thread.run_sync(make) if _is_large(structured) else make()


def answer_result(
    app: App,
    host: HostLimits,
    structured: dict[str, Any],
    blocks: Sequence[ContentBlock] = (),
    *,
    preamble: Preamble = "",
) -> RecordedResult:
    """Return the result of a successful call, truncated to what the host accepts.

    Args:
        structured: the fields of the result.
        blocks: images and links, added after the text.
        preamble: the text before the model's own text.
    """
    structured = app.bridge.settings.secrets.remove_from(structured)

    if step := _next_step(structured, mcp_words):
        structured = {**structured, "next_step": step}
    texts = JsonTexts()

    def make(characters: int) -> RecordedResult:
        capped = _cap_text(app, structured, characters, texts)
        text = render_text(capped, preamble if isinstance(preamble, str) else preamble(capped))
        return RecordedResult(content=[TextContent(text=text), *blocks], structured_content=capped)

    record = ResultRecord({key: structured[key] for key in structured if key != "next_step"}, _stored(preamble))
    return _recorded(app, host, make, record, texts)


def error_result(
    app: App, host: HostLimits, error: BridgeError, blocks: Sequence[ContentBlock] = (), *, preamble: Preamble = ""
) -> RecordedResult:
    """Return the result of a failed call, with what had been received before the failure.

    Args:
        blocks: images and links, added after the text.
        preamble: the text before the model's text.
    """
    error = app.bridge.settings.secrets.remove_from_error(error)
    structured = {"status": "failed", **error.partial, "error": error.as_dict(mcp_words)}
    if structured["status"] == "completed":  # what came before the failure may have been
        structured["status"] = "failed"
    head, texts = _error_words(error), JsonTexts()

    def make(characters: int) -> RecordedResult:
        capped = _cap_text(app, structured, characters, texts)
        before = preamble if isinstance(preamble, str) else preamble(capped)
        received = render_text({**capped, "status": "failed"}, before) if error.partial else ""
        text = f"{head}\n\nReceived before that:\n{received}" if received else head
        return RecordedResult(content=[TextContent(text=text), *blocks], structured_content=capped, is_error=True)

    return _recorded(app, host, make, ResultRecord(error.partial, _stored(preamble), error), texts)


def failure_result(
    app: App, host: HostLimits, error: BridgeError, blocks: Sequence[ContentBlock] = (), *, preamble: Preamble = ""
) -> RecordedResult:
    """Return what `error_result` does; with text and usage only if that fails because of the received content."""
    try:
        return error_result(app, host, error, blocks, preamble=preamble)
    except Exception:
        logger.exception("an error could not be reported with all that was received before it")
        return bare_error_result(app, host, error)


def bare_error_result(app: App, host: HostLimits, error: BridgeError) -> RecordedResult:
    """Return a failed call with text and usage only, for content that cannot be rendered."""
    text, usage = error.partial.get("text"), error.partial.get("usage")
    structured: dict[str, Any] = {"status": "failed", "text": text if isinstance(text, str) else ""}
    structured |= {"usage": usage} if isinstance(usage, dict) else {}
    texts = JsonTexts()

    def make(characters: int) -> RecordedResult:
        capped = _cap_text(app, {**structured, "error": error.as_dict(mcp_words)}, characters, texts)
        told = _error_words(error)
        if capped["text"]:
            told += f"\n\nReceived before that:\n{capped['text']}"
        return RecordedResult(content=[TextContent(text=told)], structured_content=capped, is_error=True)

    return _recorded(app, host, make, ResultRecord(structured, error=error), texts)


async def running_job_result(app: App, host: HostLimits, job: RunningJob, problem: str = "") -> CallToolResult:
    """Return the `running_result` of a job of this process that is kept.

    Args:
        problem: another note for the caller.
    """
    tail = job.partial.tail  # before the rest is stored, so that all of it is
    structured, unstored = await app.jobs.shown(job)
    seconds = time.time() - job.started_at
    make = partial(running_result, app, host, job.job_id, structured, seconds=seconds, tail=tail)
    return await in_thread_if_large(partial(make, problem=problem or unstored), structured)


def running_result(
    app: App,
    host: HostLimits,
    job_id: str,
    so_far: dict[str, Any],
    *,
    seconds: float,
    tail: str = "",
    problem: str = "",
) -> CallToolResult:
    """Return the result of a running call: what has arrived, and how to wait for the rest.

    Args:
        so_far: the fields of the result, as far as they are known.
        seconds: how long the call has been running.
        tail: the newest text, commentary included.
        problem: another note for the caller.
    """
    step = f'Call get_response with response_id "{job_id}" to wait for the rest, or with cancel true to stop it.'
    structured = {
        **so_far,
        "status": "running",
        "response_id": job_id,
        "text": so_far.get("text", ""),
        "elapsed_seconds": round(max(seconds, 0.0), 1),
        "tail": tail,
        "next_step": step,
        "notes": [*so_far.get("notes", []), *([problem] if problem else [])],
    }
    structured.pop("incomplete_reason", None)
    for name in ("tail", "notes"):
        if not structured[name]:
            del structured[name]
    shown = f" Newest: …{' '.join(tail.split())}" if tail and tail not in structured["text"] else ""
    before = " So far:" if structured["text"] else ""
    preamble = f"[Still running after {seconds:.0f} s] The work continues in the server. {step}{shown}{before}"
    return answer_result(app, host, structured, preamble=preamble)


def _recorded(
    app: App, host: HostLimits, make: Callable[[int], RecordedResult], record: ResultRecord, texts: JsonTexts
) -> RecordedResult:
    result = fitted(host, app.bridge.settings.max_text_tokens * CHARACTERS_PER_TOKEN, make, texts)
    result._record = record
    return result


def _stored(preamble: Preamble) -> str:
    # A preamble made of the facts can be made again.
    return preamble if isinstance(preamble, str) else ""


def _cap_text(app: App, structured: dict[str, Any], limit: int, texts: JsonTexts) -> dict[str, Any]:
    """Truncate texts of more than ``limit`` characters; the whole text stays readable as a resource.

    Pending calls are never truncated: the host must execute them unchanged.
    """
    capped = dict(structured)
    for name in ("text", "refusal", "diff"):
        text = structured.get(name)
        if isinstance(text, str) and len(text) > limit:
            uri = app.long_texts.keep(text)
            capped[name] = text[:limit]
            if name != "refusal":
                capped[f"{name}_uri"] = uri
            note = (
                f"The {name} is {len(text)} characters; the first {limit} are here. The whole text is the resource "
                f"{uri}; {uri}/{limit} continues from here."
            )
            capped["notes"] = [*capped.get("notes", []), note]
    if structured.get("output") and len(whole := texts.of(structured["output"])) > limit:
        uri = app.long_texts.keep(whole)
        capped["output"] = [_shortened(item, min(_ITEM_CHARACTERS, limit)) for item in structured["output"]]
        note = f"The output items are {len(whole)} characters of JSON; they are cut here and whole as resource {uri}."
        capped["notes"] = [*capped.get("notes", []), note]
    if "parsed" in structured and len(whole := texts.of(structured["parsed"])) > limit:
        uri = app.long_texts.keep(whole)
        del capped["parsed"]
        note = f"`parsed` is {len(whole)} characters of JSON; it is the resource {uri}."
        capped["notes"] = [*capped.get("notes", []), note]
    return capped


def _shortened(value: Any, most: int) -> Any:
    """Return a JSON value with its texts truncated to ``most`` characters."""
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}…"
    if isinstance(value, dict):
        return {key: _shortened(item, most) for key, item in value.items()}
    return [_shortened(item, most) for item in value] if isinstance(value, list) else value


def render_text(structured: dict[str, Any], preamble: str, advice_words: AdviceWords = mcp_words) -> str:
    """Return all the facts that a reader needs, for hosts that show their model only text."""
    text = str(structured.get("text", ""))
    parts = [preamble] if preamble else []
    if text:
        parts.append(text)
    if refusal := structured.get("refusal"):
        parts.append(f"[The model refused] {refusal}")
    parts += _citation_words(structured)
    parts += _pending_words(structured)
    parts += _item_words(structured)
    if incomplete := _incomplete_words(structured, advice_words):
        parts.append(incomplete)
    parts += [f"[{note}]" for note in dict.fromkeys(structured.get("notes", []))]
    if not parts and structured.get("status") not in ("failed", "running"):
        parts.append("[The model answered without any text.]")
    return "\n\n".join(parts)


def _error_words(error: BridgeError) -> str:
    """Return a failure as text, with everything in its structured form that a reader needs."""
    parts = [f"{error.code.value}: {error.text(mcp_words)}"]
    if error.retry_after_seconds is not None:
        parts.append(f"Retry after {error.retry_after_seconds:g} s.")
    if error.request_id:
        parts.append(f"Request id: {error.request_id}.")
    return " ".join(parts)


def _next_step(structured: dict[str, Any], advice_words: AdviceWords) -> str:
    """Return the caller's next step, for hosts that show their model only the structured output."""
    if structured.get("status") == "running":
        return str(structured.get("next_step", ""))
    if calls := structured.get("pending_calls"):
        return _continue_step(calls, structured.get("conversation_id"))
    if structured.get("status") == "incomplete" and structured.get("incomplete_reason") == "max_output_tokens":
        # If a limit of this server ended the answer, a larger maximum would change nothing.
        return "" if structured.get("limited_by") else advice_words(Advice(Action.RAISE, "max_output_tokens"))
    return ""


def _continue_step(calls: Sequence[dict[str, Any]], conversation_id: str | None) -> str:
    named = f' conversation_id "{conversation_id}" and' if conversation_id else ""
    hand_back = f"call continue_databricks_model with{named} one output for each, in the shape of its answer_with."
    approvals = [call for call in calls if call.get("type") == "mcp_approval_request"]
    if any(call.get("answer_with", {}).get("approve") is False for call in approvals):
        others = "carry out the other pending calls, then " if len(approvals) < len(calls) else ""
        return (
            "Nobody can approve the MCP calls from here. Tell the user that they wait, and that they can be approved "
            "in a host that can ask its user, or by the server's setting RESPONSES_MCP_MODEL_APPROVALS=allow. To "
            f"continue without them, {others}{hand_back}"
        )
    give_up = 'To skip a call, answer it with an output that says so, such as "not carried out"'
    if not approvals:
        return f"Carry out the pending calls, then {hand_back} {give_up}."
    return (
        f"Ask the user about each approval, carry out the other pending calls, then {hand_back} {give_up}, or with "
        "approve: false."
    )


def _has_output(structured: dict[str, Any]) -> bool:
    """Return whether anything except reasoning was produced, including an incomplete call."""
    items = structured.get("output") or ()
    if structured.get("text") or structured.get("images"):
        return True
    return any(item.get("type") != "reasoning" for item in items)


def _incomplete_words(structured: dict[str, Any], advice_words: AdviceWords) -> str:
    if structured.get("status") != "incomplete":
        return ""
    reason = structured.get("incomplete_reason")
    if reason == "max_output_tokens":
        spent = "" if _has_output(structured) else " All of it went into reasoning."
        reached = structured.get("limited_by", "max_output_tokens")
        step = _next_step(structured, advice_words)
        return f"[Incomplete: the answer reached {reached}.{spent}{f' {step}' if step else ''}]"
    if reason == "content_filter":
        return "[Incomplete: the workspace's content filter stopped the answer.]"
    return f"[Incomplete: {reason or 'the workspace did not say why'}.]"


def _citation_words(structured: dict[str, Any]) -> list[str]:
    lines: dict[str, None] = {}
    for citation in structured.get("citations", []):
        url = citation.get("url") or citation.get("filename") or citation.get("file_id")
        mark = f"[{citation['number']}]" if "number" in citation else "-"
        if url:
            lines[f"{mark} {visible(str(citation.get('title') or url))}: {visible(str(url))}"] = None
    return ["Sources:\n" + "\n".join(lines)] if lines else []


def _pending_words(structured: dict[str, Any]) -> list[str]:
    calls = structured.get("pending_calls", [])
    if not calls:
        return []
    lines = [
        f"- {_json({k: v for k, v in call.items() if k != 'answer_with'})}\n  answer with {_json(call['answer_with'])}"
        for call in calls
    ]
    return [f"[The model waits for you] {_next_step(structured, mcp_words)}\n" + "\n".join(lines)]


def _item_words(structured: dict[str, Any]) -> list[str]:
    waiting = {_id_of(call) for call in structured.get("pending_calls", [])}
    lines: list[str] = []
    for item in structured.get("output", []):
        kind = item.get("type")
        if kind == "message" and not structured.get("text"):
            # Commentary is used as the answer while there is none.
            lines += [f"[Commentary] {part['text']}" for part in item.get("content") or () if _has_text(part)]
        if kind in ("message", "image_generation_call") or _id_of(item) in waiting:
            continue
        if kind == "web_search_call" and structured.get("citations"):
            continue  # its results are in the text and its sources
        if kind == "reasoning":
            parts = item.get("summary")
            texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
            summary = "\n".join(str(text) for text in texts if text)
            lines.append(f"[Reasoning] {summary or _json(item)}")
        else:
            lines.append(f"[{kind}] {_json({k: v for k, v in item.items() if k not in ('type', 'id')})}")
    return list(dict.fromkeys(lines))


def _has_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "output_text" and isinstance(part.get("text"), str)


def _id_of(call: dict[str, Any]) -> str:
    return str(call.get("call_id") or call.get("approval_request_id") or call.get("id"))


def _json(value: Any) -> str:
    # Only its first characters are read: a call's arguments may have megabytes.
    text = _encode(_shortened(value, _ITEM_CHARACTERS + 1))
    return text if len(text) <= _ITEM_CHARACTERS else f"{text[:_ITEM_CHARACTERS]}… (whole in structuredContent)"
