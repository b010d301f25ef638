"""The faults that can be simulated, and the syntax to request them.

By a request's own header ``X-Emulator-Fault``, or by the queue in ``EmulatorState.faults`` that the next requests to a
model take from. Both accept this syntax, or JSON with the fields of ``Fault``::

    429            one 429 with retry_after 15 in its body      429x2:3     two of them, retry_after 3
    429:none       a 429 that does not say when to come back     503x2  500  the same for any status from 400 on
    429:header=2   a 429 with a Retry-After header only
    delay:1.5      wait so many seconds, then answer             login       303 to a login page
    drop           close the connection before any byte          html:502    an HTML error page (500 if not said)
    close          close the connection right after the answer   garbage     200 and bytes that are no event stream
    cut:3          close the connection after 3 events           no_terminal end the stream without its last event
    malformed:2    an event that is not JSON after 2 events      unknown     events and an item of unknown types
    slow:5         the stream in chunks of 5 bytes               failed:2    response.failed after 2 events
    error_event:2  an `error` event after 2 events               error_chunk:2  data: {"error": "..."} after 2 events
    body:nested    one of the error bodies of ``ERROR_BODIES``   body:plain:404  the same with another status
    body:legacy_name  501: the old names of models are gone      body:invalid_token  400: a token of another workspace
    body:guardrail    400 with the flagged categories            body:too_large      400 of the 32 MiB limit

``a+b`` applies both to one request; ``a,b`` queues one after the other; ``x3`` repeats. A header with several entries
is counted over the requests with the same value, and requests after the last entry are answered normally; a header with
one entry applies to each request that has it.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

FaultKind = Literal[
    "status", "delay", "login", "drop", "close", "html", "garbage", "body",
    "cut", "no_terminal", "malformed", "unknown", "slow", "failed", "error_event", "error_chunk",
]  # fmt: skip
SHAPES = (
    "openai", "nested", "guardrail", "output_guardrail", "workspace", "permission", "invalid_token", "legacy_name",
    "gateway_off", "wrong_provider", "wrong_surface", "too_large", "message", "code_number", "string", "plain", "html",
    "empty", "list", "cut_json",
)  # fmt: skip
"""The names of error bodies for ``body``; ``error_bodies.ERROR_BODIES`` has them."""
_STATUSES = {"permission": 403, "legacy_name": 501, "gateway_off": 501}
"""The default status of an error body; else 400."""
KINDS: tuple[str, ...] = get_args(FaultKind)

_SHORT = re.compile(r"(?P<name>[a-z_]+|\d{3})(?:x(?P<times>\d+))?(?::(?P<argument>.*))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one request.

    Attributes:
        kind: the kind of fault.
        after: for a fault in a stream: how many events are sent first.
        seconds: how long ``delay`` waits.
        status: HTTP status of ``status``, ``html`` and ``body``.
        retry_after: seconds in the body of a 429; ``None`` leaves it out.
        retry_after_header: seconds in the header of a 429 or 503; ``None`` leaves it out.
        shape: one of ``ERROR_BODIES``.
        chunk_bytes: how many bytes ``slow`` sends at once.
    """

    kind: FaultKind
    after: int = 0
    seconds: float = 0.0
    status: int = 500
    retry_after: float | None = None
    retry_after_header: float | None = None
    shape: str = "openai"
    chunk_bytes: int = 5

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known are {', '.join(KINDS)}")
        if self.shape not in SHAPES:
            raise ValueError(f"unknown shape {self.shape!r}; known are {', '.join(SHAPES)}")
        if self.after < 0 or self.seconds < 0 or self.chunk_bytes < 1 or not 200 <= self.status <= 599:
            raise ValueError("a fault has no negative numbers, chunks of a byte or more and a status of 200 to 599")


class Faults:
    """The queue of faults. Each request to a model takes the next entry.

    Args:
        *entries: as for ``add``.
    """

    def __init__(self, *entries: str | Fault) -> None:
        self._queue: deque[tuple[Fault, ...]] = deque()
        self._uses: Counter[str] = Counter()
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, fault: str | Fault, times: int = 1) -> None:
        """Let the next requests fail in this way.

        Raises:
            ValueError: if the text is not in the syntax of this module.
        """
        entries = [(fault,)] if isinstance(fault, Fault) else parse(fault)
        for _ in range(times):
            self._queue.extend(entries)

    def clear(self) -> None:
        """Remove all faults from the queue."""
        self._queue.clear()

    def take(self, header: str | None) -> tuple[Fault, ...]:
        """Return the faults for a new request: those in its header, else the next in the queue.

        Raises:
            ValueError: if the header is not in the syntax of this module.
        """
        if header:
            entries = parse(header)
            used = self._uses[header]
            self._uses[header] += 1
            if len(entries) == 1:
                return entries[0]
            return entries[used] if used < len(entries) else ()
        return self._queue.popleft() if self._queue else ()


def parse(text: str) -> list[tuple[Fault, ...]]:
    """Return the faults in the short syntax or in JSON (an object, or a list of objects): one entry for each request.

    Raises:
        ValueError: if it is neither.
    """
    text = text.strip()
    if text.startswith(("{", "[")):
        return _parse_json(text)
    entries: list[tuple[Fault, ...]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        parsed = [_parse_one(piece.strip()) for piece in part.split("+")]
        times = max(times for _, times in parsed)
        entries += [tuple(fault for fault, _ in parsed)] * times
    return entries


def _parse_json(text: str) -> list[tuple[Fault, ...]]:
    value = json.loads(text)
    known = {field.name for field in fields(Fault)}
    entries: list[tuple[Fault, ...]] = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            raise ValueError("a fault in JSON is an object")
        times = item.pop("times", 1)
        if not isinstance(times, int) or (unknown := set(item) - known):
            raise ValueError(f"a fault has the fields times, {', '.join(sorted(known))}, not {sorted(unknown)}")
        entries += [(Fault(**item),)] * times
    return entries


def _parse_one(text: str) -> tuple[Fault, int]:
    match = _SHORT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a fault: {text!r}")
    name, argument = match["name"], match["argument"] or ""
    times = int(match["times"] or 1)
    try:
        return (_status_fault(int(name), argument) if name.isdigit() else _named_fault(name, argument)), times
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a fault: {text!r} ({error})") from None


def _status_fault(status: int, argument: str) -> Fault:
    if argument == "none" or (status != 429 and not argument):
        return Fault("status", status=status)
    if argument.startswith("header="):
        return Fault("status", status=status, retry_after_header=float(argument.removeprefix("header=")))
    return Fault("status", status=status, retry_after=float(argument or 15))


def _named_fault(name: str, argument: str) -> Fault:
    if name == "delay":
        return Fault("delay", seconds=float(argument))
    if name == "slow":
        return Fault("slow", chunk_bytes=int(argument or 5))
    if name == "html":
        return Fault("html", status=int(argument or 500))
    if name == "body":
        shape, _, status = argument.partition(":")
        return Fault("body", shape=shape, status=int(status or _STATUSES.get(shape, 400)))
    values: dict[str, Any] = {"kind": name, "after": int(argument or 0)}
    return Fault(**values)


def first(faults: Iterable[Fault], *kinds: FaultKind) -> Fault | None:
    """Return the first of the faults with one of these kinds."""
    return next((fault for fault in faults if fault.kind in kinds), None)
