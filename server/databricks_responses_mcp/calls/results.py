"""From facts to what a host is given: the same in words and in structure."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp.types import CallToolResult, ContentBlock, TextContent
from pydantic import PrivateAttr

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.calls.truncation import CHARACTERS_PER_TOKEN, JsonTexts, fitted
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.visible import visible

_ITEM_CHARACTERS = 2000
_encode = json.JSONEncoder(ensure_ascii=False).encode

Lead = str | Callable[[dict[str, Any]], str]
"""What is said before the model's own words, such as where a picture is; or how to say it of the facts as cut."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a result was made from, before it was cut to what a host takes; as in `turns.jobs.Ended`."""

    facts: dict[str, Any] = field(default_factory=dict)
    lead: str = ""
    error: BridgeError | None = None


class MadeResult(CallToolResult):
    """A result that still knows what it was made from; none of that goes over the wire."""

    _made: Made = PrivateAttr(default_factory=Made)

    @property
    def made(self) -> Made:
        """Whole, so that it can be kept."""
        return self._made


def answer_result(
    app: App, facts: dict[str, Any], blocks: Sequence[ContentBlock] = (), *, lead: Lead = ""
) -> CallToolResult:
    """A successful call, cut to what the host takes.

    Args:
        facts: the result contract's fields.
        blocks: pictures and links, put after the text.
    """
    facts = app.bridge.settings.secrets.remove_from(facts)

    if step := _next_step(facts):
        facts = {**facts, "next_step": step}
    texts = JsonTexts()

    def make(characters: int) -> CallToolResult:
        capped = _cap_text(app, facts, characters, texts)
        text = words(capped, lead if isinstance(lead, str) else lead(capped))
        return CallToolResult(content=[TextContent(text=text), *blocks], structured_content=capped)

    return _made(app, make, Made({key: facts[key] for key in facts if key != "next_step"}, _kept(lead)), texts)


def error_result(
    app: App, error: BridgeError, blocks: Sequence[ContentBlock] = (), *, lead: Lead = ""
) -> CallToolResult:
    """A failed call, with what had been received; ``lead`` as in `answer_result`, of what came before the failure."""
    error = app.bridge.settings.secrets.remove_from_error(error)
    facts = {"status": "failed", **error.partial, "error": error.as_dict()}
    if facts["status"] == "completed":  # what came before the failure may have been
        facts["status"] = "failed"
    head, texts = _error_words(error), JsonTexts()

    def make(characters: int) -> CallToolResult:
        capped = _cap_text(app, facts, characters, texts)
        before = lead if isinstance(lead, str) else lead(capped)
        received = words({**capped, "status": "failed"}, before) if error.partial else ""
        text = f"{head}\n\nReceived before that:\n{received}" if received else head
        return CallToolResult(content=[TextContent(text=text), *blocks], structured_content=capped, is_error=True)

    return _made(app, make, Made(error.partial, _kept(lead), error), texts)


def bare_error_result(app: App, error: BridgeError) -> CallToolResult:
    """Return a failed call with nothing of what had been received but text and usage, for facts that cannot be told."""
    text, usage = error.partial.get("text"), error.partial.get("usage")
    facts: dict[str, Any] = {"status": "failed", "text": text if isinstance(text, str) else ""}
    facts |= {"usage": usage} if isinstance(usage, dict) else {}
    texts = JsonTexts()

    def make(characters: int) -> CallToolResult:
        capped = _cap_text(app, {**facts, "error": error.as_dict()}, characters, texts)
        told = _error_words(error)
        if capped["text"]:
            told += f"\n\nReceived before that:\n{capped['text']}"
        return CallToolResult(content=[TextContent(text=told)], structured_content=capped, is_error=True)

    return _made(app, make, Made(facts, error=error), texts)


def running_result(
    app: App, job_id: str, so_far: dict[str, Any], *, seconds: float, tail: str = "", problem: str = ""
) -> CallToolResult:
    """A call that its host would not wait for: what has come, and how to wait for the rest.

    Args:
        so_far: the result contract's fields, as far as they are known.
        seconds: how long the call has been running.
        tail: the newest text, commentary included.
        problem: what else the caller must know.
    """
    step = f'Call get_response with response_id "{job_id}" to wait for the rest, or with cancel true to stop it.'
    facts = {
        **so_far,
        "status": "running",
        "response_id": job_id,
        "text": so_far.get("text", ""),
        "elapsed_seconds": round(max(seconds, 0.0), 1),
        "tail": tail,
        "next_step": step,
        "notes": [*so_far.get("notes", []), *([problem] if problem else [])],
    }
    facts.pop("incomplete_reason", None)
    for name in ("tail", "notes"):
        if not facts[name]:
            del facts[name]
    shown = f" Newest: …{' '.join(tail.split())}" if tail and tail not in facts["text"] else ""
    before = " So far:" if facts["text"] else ""
    lead = f"[Still running after {seconds:.0f} s] The work goes on in the server. {step}{shown}{before}"
    return answer_result(app, facts, lead=lead)


def _made(app: App, make: Callable[[int], CallToolResult], made: Made, texts: JsonTexts) -> CallToolResult:
    fit = fitted(app.bridge.settings.max_text_tokens * CHARACTERS_PER_TOKEN, make, texts)
    result = MadeResult(content=fit.content, structured_content=fit.structured_content, is_error=fit.is_error)
    result._made = made
    return result


def _kept(lead: Lead) -> str:
    # One that is made of the facts can be made again.
    return lead if isinstance(lead, str) else ""


def _cap_text(app: App, facts: dict[str, Any], limit: int, texts: JsonTexts) -> dict[str, Any]:
    """Cut what is longer than ``limit`` characters; the whole of it stays readable as a resource.

    The calls that wait are never cut: the host must carry them out as they are.
    """
    capped = dict(facts)
    for name in ("text", "refusal", "diff"):
        text = facts.get(name)
        if isinstance(text, str) and len(text) > limit:
            uri = app.long_texts.keep(text)
            capped[name] = text[:limit]
            if name != "refusal":
                capped[f"{name}_uri"] = uri
            note = (
                f"The {name} is {len(text)} characters; the first {limit} are here. The whole is the resource {uri}; "
                f"{uri}/{limit} goes on from here."
            )
            capped["notes"] = [*capped.get("notes", []), note]
    if facts.get("output") and len(whole := texts.of(facts["output"])) > limit:
        uri = app.long_texts.keep(whole)
        capped["output"] = [_shortened(item, min(_ITEM_CHARACTERS, limit)) for item in facts["output"]]
        note = f"The output items are {len(whole)} characters of JSON; they are cut here and whole as resource {uri}."
        capped["notes"] = [*capped.get("notes", []), note]
    if "parsed" in facts and len(whole := texts.of(facts["parsed"])) > limit:
        uri = app.long_texts.keep(whole)
        del capped["parsed"]
        note = f"`parsed` is {len(whole)} characters of JSON; it is the resource {uri}."
        capped["notes"] = [*capped.get("notes", []), note]
    return capped


def _shortened(value: Any, most: int) -> Any:
    """A JSON value with its texts cut to ``most`` characters."""
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}…"
    if isinstance(value, dict):
        return {key: _shortened(item, most) for key, item in value.items()}
    return [_shortened(item, most) for item in value] if isinstance(value, list) else value


def words(facts: dict[str, Any], lead: str) -> str:
    """All the facts that a reader needs, for hosts that show their model only text."""
    text = str(facts.get("text", ""))
    parts = [lead] if lead else []
    if text:
        parts.append(text)
    if refusal := facts.get("refusal"):
        parts.append(f"[The model refused] {refusal}")
    parts += _citation_words(facts)
    parts += _pending_words(facts)
    parts += _item_words(facts)
    if incomplete := _incomplete_words(facts):
        parts.append(incomplete)
    parts += [f"[{note}]" for note in dict.fromkeys(facts.get("notes", []))]
    if not parts and facts.get("status") not in ("failed", "running"):
        parts.append("[The model answered without any text.]")
    return "\n\n".join(parts)


def _error_words(error: BridgeError) -> str:
    """A failure in words, with all that its structure has and a reader needs."""
    parts = [f"{error.code.value}: {error}"]
    if error.retry_after_seconds is not None:
        parts.append(f"Retry after {error.retry_after_seconds:g} s.")
    if error.request_id:
        parts.append(f"Request id: {error.request_id}.")
    return " ".join(parts)


def _next_step(facts: dict[str, Any]) -> str:
    """What the caller has to do, for hosts that show their model only the structure."""
    if facts.get("status") == "running":
        return str(facts.get("next_step", ""))
    if calls := facts.get("pending_calls"):
        return _continue_step(calls, facts.get("conversation_id"))
    if facts.get("status") == "incomplete" and facts.get("incomplete_reason") == "max_output_tokens":
        # Where a limit of this server ended the answer, a larger maximum would change nothing.
        return "" if facts.get("limited_by") else "Ask again with a larger max_output_tokens."
    return ""


def _continue_step(calls: Sequence[dict[str, Any]], conversation_id: str | None) -> str:
    named = f' conversation_id "{conversation_id}" and' if conversation_id else ""
    hand_back = f"call continue_databricks_model with{named} one output for each, in the shape of its answer_with."
    approvals = [call for call in calls if call.get("type") == "mcp_approval_request"]
    if any(call.get("answer_with", {}).get("approve") is False for call in approvals):
        others = "carry out the other pending calls, then " if len(approvals) < len(calls) else ""
        return (
            "Nobody can approve the MCP calls from here. Tell the user that they wait, and that they can be approved "
            "in a host that can ask its user, or by the server's setting RESPONSES_MCP_MODEL_APPROVALS=allow. To go on "
            f"without them, {others}{hand_back}"
        )
    give_up = 'To give a call up, answer it with an output that says so, such as "not carried out"'
    if not approvals:
        return f"Carry out the pending calls, then {hand_back} {give_up}."
    return (
        f"Ask the user about each approval, carry out the other pending calls, then {hand_back} {give_up}, or with "
        "approve: false."
    )


def _has_output(facts: dict[str, Any]) -> bool:
    """Whether anything but reasoning was written, be it a call that is not whole."""
    items = facts.get("output") or ()
    return bool(facts.get("text") or facts.get("images")) or any(item.get("type") != "reasoning" for item in items)


def _incomplete_words(facts: dict[str, Any]) -> str:
    if facts.get("status") != "incomplete":
        return ""
    reason = facts.get("incomplete_reason")
    if reason == "max_output_tokens":
        spent = "" if _has_output(facts) else " All of it went into reasoning."
        reached = facts.get("limited_by", "max_output_tokens")
        step = _next_step(facts)
        return f"[Incomplete: the answer reached {reached}.{spent}{f' {step}' if step else ''}]"
    if reason == "content_filter":
        return "[Incomplete: the workspace's content filter stopped the answer.]"
    return f"[Incomplete: {reason or 'the workspace did not say why'}.]"


def _citation_words(facts: dict[str, Any]) -> list[str]:
    lines: dict[str, None] = {}
    for citation in facts.get("citations", []):
        url = citation.get("url") or citation.get("filename") or citation.get("file_id")
        mark = f"[{citation['number']}]" if "number" in citation else "-"
        if url:
            lines[f"{mark} {visible(str(citation.get('title') or url))}: {visible(str(url))}"] = None
    return ["Sources:\n" + "\n".join(lines)] if lines else []


def _pending_words(facts: dict[str, Any]) -> list[str]:
    calls = facts.get("pending_calls", [])
    if not calls:
        return []
    lines = [
        f"- {_json({k: v for k, v in call.items() if k != 'answer_with'})}\n  answer with {_json(call['answer_with'])}"
        for call in calls
    ]
    return [f"[The model waits for you] {_next_step(facts)}\n" + "\n".join(lines)]


def _item_words(facts: dict[str, Any]) -> list[str]:
    waiting = {_id_of(call) for call in facts.get("pending_calls", [])}
    lines: list[str] = []
    for item in facts.get("output", []):
        kind = item.get("type")
        if kind == "message" and not facts.get("text"):
            # Commentary stands for an answer as long as there is none.
            lines += [f"[Commentary] {part['text']}" for part in item.get("content") or () if _has_text(part)]
        if kind in ("message", "image_generation_call") or _id_of(item) in waiting:
            continue
        if kind == "web_search_call" and facts.get("citations"):
            continue  # what it found is in the text and its sources
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
    # No more than its first characters are read: a call's arguments may be megabytes.
    text = _encode(_shortened(value, _ITEM_CHARACTERS + 1))
    return text if len(text) <= _ITEM_CHARACTERS else f"{text[:_ITEM_CHARACTERS]}… (whole in structuredContent)"
