"""The faults of a workspace, by class: what the server sends, and which text of it must not be lost."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.fault_server import Answer, End

ASK = "ask_databricks_model"
WORDS = ("Alpha ", "beta ", "gamma.")
TEXT = "".join(WORDS)
USAGE = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
TOKEN = "wsp~odd.shaped/credential+of==this%workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultClass:
    """One class of faults.

    Attributes:
        group: the kind of fault.
        name: the description of the fault.
        answers: the answers to the first, second … request of one call; the last one is repeated.
        arrived: text that was sent completely in readable events.
        paid: whether usage was sent too.
        tool: the tool that is called.
        is_silent: whether the server stops sending, so that only a deadline ends the call.
        is_retried: whether the API allows a request to be sent again after this fault.
    """

    group: str
    name: str
    answers: Sequence[Answer]
    arrived: str = ""
    paid: bool = False
    tool: str = ASK
    is_silent: bool = False
    is_retried: bool = False


def http(body: bytes, *, status: str = "200 OK", content_type: str = "text/event-stream", more: str = "") -> bytes:
    """Return a complete HTTP response with its length."""
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"HTTP/1.1 {status}\r\n{kind}Content-Length: {len(body)}\r\n{more}\r\n".encode() + body


def chunked(body: bytes, *, content_type: str = "text/event-stream", last: bytes = b"0\r\n\r\n") -> bytes:
    """Return an HTTP response in chunks; ``last`` ends it."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + f"{len(body):x}\r\n".encode() + body + b"\r\n" + last


def message(text: str = TEXT, **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part], **more}


def response(*output: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": list(output), **fields}


def completed(*output: Any, **fields: Any) -> dict[str, Any]:
    fields = {"usage": USAGE, **fields}
    return {"type": "response.completed", "response": response(*output, **fields)}


def events() -> list[dict[str, Any]]:
    """Return a complete answer as the API streams it."""
    where = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    return [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": message(content=[])},
        *({"type": "response.output_text.delta", "delta": word, **where} for word in WORDS),
        {"type": "response.output_text.done", "text": TEXT, **where},
        {"type": "response.output_item.done", "output_index": 0, "item": message()},
        completed(message()),
    ]


def sse(sent: Sequence[Any], *, newline: bytes = b"\n", name: bool = False) -> bytes:
    """Return server-sent events; bytes are sent unchanged."""
    lines = b""
    for event in sent:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        kind = event.get("type") if isinstance(event, dict) else None
        lines += b"event: %s%s" % (kind.encode(), newline) if name and isinstance(kind, str) else b""
        lines += b"data: " + data + newline + newline
    return lines


def one(group: str, name: str, data: bytes, end: End = "keep", **more: Any) -> FaultClass:
    cut = {key: more.pop(key) for key in ("cut", "piece") if key in more}
    return FaultClass(group=group, name=name, answers=[Answer(data, end, **cut)], **more)


def whole(group: str, name: str, data: bytes, end: End = "keep", **more: Any) -> FaultClass:
    """Return a class in which the whole answer arrives."""
    return one(group, name, data, end, **{"arrived": TEXT, "paid": True, **more})


BODIES: dict[str, bytes] = {
    "an OpenAI error": json.dumps({"error": {"message": f"It went wrong. {TOKEN}", "code": "some_code"}}).encode(),
    "a workspace error": json.dumps({"error_code": "SOME_CODE", "message": f"It went wrong. {TOKEN}"}).encode(),
    "a page": f"<html><title>Proxy</title><pre>internal-host.example {TOKEN}</pre></html>".encode(),
    "nothing": b"",
    "cut JSON": b'{"error": {"message": "It we',
    "odd JSON": b'{"error": [null, {"message": {"a": 1}}], "error_code": ["x"], "message": 7}',
}
STATUSES = (
    "204 No Content",
    "206 Partial Content",
    "302 Found",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "409 Conflict",
    "413 Content Too Large",
    "422 Unprocessable",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "501 Not Implemented",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
    "599 Odd",
)


def statuses() -> Iterator[FaultClass]:
    for status in STATUSES:
        code = status[:3]
        for name, body in BODIES.items():
            retried = code in ("401", "403", "429", "503")
            # The response says to retry at once, so that the test takes no time.
            more = "Retry-After: 0\r\n" if code in ("429", "503") else ""
            more += "Location: https://login.example/\r\n" if code == "302" else ""
            kind = "text/html" if name == "a page" else "application/json"
            data = http(b"" if code == "204" else body, status=status, content_type=kind, more=more)
            yield one("status", f"{code} with {name}", data, is_retried=retried)
    for code, status in (("429", "429 Too Many"), ("503", "503 Away")):
        refusal = http(b"{}", status=status, content_type="application/json", more="Retry-After: 0\r\n")
        yield FaultClass(
            group="status",
            name=f"{code} once, then an answer",
            answers=[Answer(refusal), Answer(chunked(sse(events())))],
            arrived=TEXT,
            paid=True,
            is_retried=True,
        )
        if code == "429":  # a 503 is retried after a random time
            yield one("status", f"{code} without a time", http(b"{}", status=status), is_silent=True, is_retried=True)
        far = http(b"{}", status=status, more="Retry-After: 86400\r\n")
        yield one("status", f"{code} for a day", far, is_retried=True)


def framing() -> Iterator[FaultClass]:
    body = sse(events())
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    yield whole("framing", "no length, closed at the end", head + b"\r\n" + body, "close")
    yield whole("framing", "HTTP/1.0", head.replace(b"1.1", b"1.0") + b"\r\n" + body, "close")
    yield whole(
        "framing", "a length that is too large, closed", head + b"Content-Length: 99999\r\n\r\n" + body, "close"
    )
    short = sse(events()[:4])
    yield one(
        "framing",
        "a length that is too small",
        head + f"Content-Length: {len(short)}\r\n\r\n".encode() + body,
        "close",
        arrived=WORDS[0] + WORDS[1],
    )
    yield one("framing", "a negative length", head + b"Content-Length: -5\r\n\r\n" + body, "close")
    yield one("framing", "a length that is no number", head + b"Content-Length: many\r\n\r\n" + body, "close")
    yield one("framing", "two lengths", head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + body, "close")
    yield one(
        "framing", "a chunk size that is no number", chunked(body).replace(b"\r\n\r\n", b"\r\n\r\nzz\r\n", 1), "close"
    )
    yield whole("framing", "chunks without their end", chunked(body, last=b""), "close")
    yield whole("framing", "garbage after the last event", chunked(body, last=b"\xff\xfe\r\n"), "close")
    yield whole("framing", "a second answer after the first", http(body) + http(b"{}", status="500 No"), "close")
    yield one("framing", "no status line", b"hello\r\n\r\n", "close")
    yield one("framing", "a status that is no number", b"HTTP/1.1 OK 200\r\n\r\n", "close")
    yield one("framing", "another protocol", b"SSH-2.0-OpenSSH_9.6\r\n", "close")
    yield one("framing", "HTTP/2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18, "close")
    yield one("framing", "a header without a colon", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n" + body, "close")
    yield one("framing", "a header with a NUL", b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n" + body, "close")
    yield one("framing", "a header of 200 kB", b"HTTP/1.1 200 OK\r\na: " + b"x" * 200_000 + b"\r\n\r\n" + body, "close")
    yield whole("framing", "5,000 headers", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000 + b"\r\n" + body, "close")
    yield whole("framing", "103 before the answer", b"HTTP/1.1 103 Early Hints\r\n\r\n" + http(body))
    packed = gzip.compress(body)
    yield one("framing", "compressed though not asked", http(packed, more="Content-Encoding: gzip\r\n"), "close")
    yield one("framing", "compressed and damaged", http(packed[:40], more="Content-Encoding: gzip\r\n"), "close")
    yield one("framing", "an unknown encoding", http(packed, more="Content-Encoding: zz\r\n"), "close")
    yield whole("framing", "one byte at a time", chunked(body), piece=1)
    yield whole("framing", "all at once", chunked(body), cut=False)
    yield whole("framing", "closed after the answer", http(body, more="Connection: close\r\n"), "close")


def connection() -> Iterator[FaultClass]:
    data = chunked(sse(events()))
    head = data.index(b"\r\n\r\n") + 4
    # The start of the chunk, and the end of the events with text in it.
    first = data.index(b"data: ")
    ends = [first + len(sse(events()[: 3 + number])) for number in range(len(WORDS))]
    last = data.index(b"response.completed")
    places: list[tuple[str, int, str]] = [
        ("before any byte", 0, ""),
        ("in the status line", 7, ""),
        ("in the headers", 30, ""),
        ("after the headers", head, ""),
        ("in the first event", head + 20, ""),
        ("after the first word", ends[0], WORDS[0]),
        ("after the second word", ends[1], WORDS[0] + WORDS[1]),
        ("in the last event", last + 10, TEXT),
        ("in the last event's text", data.rindex(b"gamma"), TEXT),
        ("before the last chunk", len(data) - 5, TEXT),
    ]
    for end, how in (("close", "closed"), ("reset", "reset"), ("hang", "silent")):
        for where, at, arrived in places:
            # A reset may discard bytes that the other side has not read yet, so what arrives is not deterministic.
            if end == "reset" and where == "before the last chunk":
                continue
            kept = "" if end == "reset" else arrived
            paid = where == "before the last chunk"
            kind: End = end  # type: ignore[assignment]
            yield one("connection", f"{how} {where}", data[:at], kind, arrived=kept, paid=paid, is_silent=end == "hang")


def content_types() -> Iterator[FaultClass]:
    body, plain = sse(events()), json.dumps(response(message(), usage=USAGE)).encode()
    for kind in ("text/plain", "application/json", "application/octet-stream", "text/html", "", "x/" + "y" * 500, "é"):
        yield whole("content type", f"events as {kind[:30] or 'nothing'}", http(body, content_type=kind))
    for kind in ("application/json", "text/event-stream", "text/plain", ""):
        yield whole("content type", f"one JSON object as {kind or 'nothing'}", http(plain, content_type=kind))
    for name, junk in (
        ("a page", BODIES["a page"]),
        ("text", b"hello"),
        ("nothing", b""),
        ("spaces", b" \r\n " * 50),
        ("cut JSON", plain[:40]),
        ("a JSON list", b"[1, 2]"),
        ("a JSON number", b"7"),
        ("JSON null", b"null"),
        ("a JSON error", json.dumps({"error": {"message": "No."}}).encode()),
        ("bytes", bytes(range(256)) * 4),
        ("5 MB of spaces", b" " * 5_000_000),
    ):
        for kind in ("application/json", "text/event-stream"):
            yield one("content type", f"{name} as {kind}", http(junk, content_type=kind))
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events())
    yield one("content type", "JSON lines", http(lines, content_type="application/x-ndjson"))


def streams() -> Iterator[FaultClass]:
    all_events = events()
    done = b"data: [DONE]\n\n"
    pauses = [{"type": "response.in_progress"}] * 333
    for name, body in {
        "lines end in CRLF": sse(all_events, newline=b"\r\n"),
        "lines end in CR": sse(all_events, newline=b"\r"),
        "events have names": sse(all_events, name=True),
        "a byte order mark": b"\xef\xbb\xbf" + sse(all_events),
        "comments between events": b": hi\n\n" + sse(all_events).replace(b"\n\n", b"\n\n: ping\n\n"),
        "ids and retries": b"id: 1\nretry: 5\n" + sse(all_events),
        "no space after the colon": sse(all_events).replace(b"data: ", b"data:"),
        "no blank line at the end": sse(all_events)[:-2],
        "an end mark": sse(all_events) + done,
        "events after the last": sse([*all_events, *all_events[2:5]]),
        "two last events": sse([*all_events, all_events[-1]]),
        "every event twice": sse([event for event in all_events if "delta" not in event["type"] for _ in (1, 2)]),
        "events reversed but the last": sse([*reversed(all_events[:-1]), all_events[-1]]),
        "only the last event": sse(all_events[-1:]),
        "no last event": sse(all_events[:-1]),
        "no last event, an end mark": sse(all_events[:-1]) + done,
        "only deltas, an end mark": sse(all_events[2:5]) + done,
        "the last event without output": sse([*all_events[:-1], completed()]),
        "the last event without a response": sse([*all_events[:-1], {"type": "response.completed"}]),
        "junk as output in the last event": sse([*all_events[:-1], completed({"type": "x"}, 7, None)]),
        "a message without text in the last event": sse([*all_events[:-1], completed({"type": "message"})]),
        "unknown events": sse([{"type": "x.y", "a": 1}, *all_events[:3], {"no": "type"}, 5, "text", *all_events[3:]]),
        "events that are no JSON": sse([b"{", *all_events[:3], b"hello", b"\xff\xfe", *all_events[3:]]),
        "empty events": b"data:\n\ndata: \n\n" + sse(all_events),
        "5,000 unknown events": sse([*[{"type": "x"}] * 5000, *all_events]),
        "an event of 2 MB": sse([{"type": "x", "pad": "y" * 2_000_000}, *all_events]),
        "events nested 300 deep": sse([b'{"type": "x", "v": ' + b"[" * 300 + b"]" * 300 + b"}", *all_events]),
        "events nested 20,000 deep": sse([b"[" * 20_000 + b"]" * 20_000, *all_events]),
        "half a surrogate pair": sse([{"type": "x", "a": "\ud83d"}, *all_events]),
        "a number of 5,000 digits": sse([b'{"type": "x", "n": ' + b"9" * 5000 + b"}", *all_events]),
        "usage of 1e400": sse(all_events).replace(b'"total_tokens": 18', b'"total_tokens": 1e400'),
        "line separators in text": sse(all_events).replace(b'"id": "resp_1"', '"id": "a\u2028b\u0085"'.encode()),
        "a thousand pauses between deltas": sse(
            [*all_events[:2], *(event for delta in all_events[2:5] for event in (delta, *pauses)), *all_events[5:]]
        ),
    }.items():
        no_usage = name.startswith(("no last", "only deltas")) or "without a response" in name
        yield whole("events", name, chunked(body), paid=not no_usage)
    for count in range(1, len(all_events)):
        said = "".join(event["delta"] for event in all_events[:count] if "delta" in event)
        yield one("events", f"ended in order after {count} events", chunked(sse(all_events[:count])), arrived=said)


def failures() -> Iterator[FaultClass]:
    all_events = events()
    for name, event in {
        "an error event": {"type": "error", "code": "server_error", "message": f"No. {TOKEN}"},
        "an error event without words": {"type": "error"},
        "an error event of odd types": {"type": "error", "error": [{"message": 7}], "code": {"a": 1}, "message": None},
        "an error chunk": {"error": "No.", "error_code": "INTERNAL_ERROR"},
        "a rate limit": {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Too many."}},
        "a failed response": {
            "type": "response.failed",
            "response": response(status="failed", error={"code": "x", "message": "No."}),
        },
        "a failed response without words": {"type": "response.failed"},
        "a cancelled response": {"type": "response.cancelled", "response": response(status="cancelled")},
    }.items():
        yield one("in the stream", f"{name} at once", chunked(sse([event])))
        sent = sse([*all_events[:4], event])
        yield one("in the stream", f"{name} after some text", chunked(sent), arrived=WORDS[0] + WORDS[1])
    for reason in ("max_output_tokens", "content_filter", "something else", None, 7):
        last = {
            "type": "response.incomplete",
            "response": response(message(), status="incomplete", usage=USAGE, incomplete_details={"reason": reason}),
        }
        yield whole("in the stream", f"incomplete: {reason}", chunked(sse([*all_events[:-1], last])))


ODD_VALUES: dict[str, Any] = {
    "null": None,
    "a number": -7,
    "a list": [1, "x", None],
    "an object": {"a": {"b": []}},
    "a long text": "z" * 5000,
}


def odd_types() -> Iterator[FaultClass]:
    for value_name, value in ODD_VALUES.items():
        for field in ("id", "role", "status", "phase", "created_by"):
            sent = [*events()[:-2]]
            item = message(**{field: value})
            sent += [{"type": "response.output_item.done", "output_index": 0, "item": item}, completed(item)]
            yield whole("odd types", f"{field} of a message: {value_name}", chunked(sse(sent)))
        for field in ("id", "model", "created_at", "error", "incomplete_details", "status", "tools"):
            sent = [*events()[:-1], completed(message(), **{field: value})]
            yield whole("odd types", f"{field} of a response: {value_name}", chunked(sse(sent)))
        for field in ("type", "call_id", "name", "arguments", "output"):
            call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", field: value}
            yield whole("odd types", f"{field} of a call: {value_name}", chunked(sse([completed(message(), call)])))
        for field in ("url", "title", "start_index", "type"):
            note = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2}
            part = {"type": "output_text", "text": TEXT, "annotations": [{**note, field: value}]}
            item = message(content=[part])
            data = chunked(sse([completed(item)]))
            yield whole("odd types", f"{field} of a citation: {value_name}", data, tool="search_web")
        for field in ("input_tokens", "output_tokens_details"):
            sent = [*events()[:-1], completed(message(), usage={**USAGE, field: value})]
            yield whole("odd types", f"{field}: {value_name}", chunked(sse(sent)), paid=field != "input_tokens")
        sent = [*events()[:-1], completed(message(), usage=value)]
        yield whole("odd types", f"usage: {value_name}", chunked(sse(sent)), paid=False)
        for field in ("type", "path", "diff", "operation"):
            operation: dict[str, Any] = {"type": "update_file", "path": "a.txt", "diff": "@@\n-one\n+two\n"}
            call = {"type": "apply_patch_call", "call_id": "c", "operation": {**operation, field: value}}
            call = {**call, "operation": value} if field == "operation" else call
            first = Answer(chunked(sse([completed(message(), call)])))
            yield FaultClass(
                group="odd types",
                name=f"{field} of a patch: {value_name}",
                answers=[first, Answer(chunked(sse(events())))],
                arrived=TEXT,
                paid=True,
                tool="edit_files",
            )
        for field in ("result", "id", "status", "revised_prompt"):
            item = {"type": "image_generation_call", "id": "i", "status": "completed", "result": "QUJD", field: value}
            data = chunked(sse([completed(message(), item)]))
            yield whole("odd types", f"{field} of a picture: {value_name}", data, tool="generate_image")


def fault_classes() -> list[FaultClass]:
    """Return all classes, in a stable order."""
    kinds = (statuses, framing, connection, content_types, streams, failures, odd_types)
    return [one for kind in kinds for one in kind()]
