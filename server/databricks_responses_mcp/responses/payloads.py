"""Parsing the API's JSON without its images.

A generated image is base64 inside JSON, twice (in its own event and in the response at the end). Parsing it as a JSON
string would create three or four copies; here it stays in the received bytes until its content is needed.
"""

import binascii
import json
from typing import Any

from pydantic_core import from_json

MAX_JSON_VALUES = 4_000_000
"""The maximum number of values in one JSON text: each takes at least 60 bytes, from as few as three (``[],``)."""

_LARGE = 64 * 1024
_KEYS = (b'"result"', b'"partial_image_b64"', b'"b64_json"')
_MARK = "\ue000payload:"
_SPACE = b" \t\r\n"
_MAX_DIGITS = 4000


class Payload:
    """A large base64 string of an event, in the received bytes.

    Attributes:
        base64: a view of the received bytes, which stay in memory with it.
    """

    __slots__ = ("base64",)

    def __init__(self, base64: memoryview) -> None:
        self.base64 = base64

    def __len__(self) -> int:
        return len(self.base64)

    def decode(self) -> bytes:
        """Return the decoded bytes.

        Raises:
            ValueError: if it is not base64.
        """
        return binascii.a2b_base64(self.base64, strict_mode=False)

    def __repr__(self) -> str:
        return f"<Payload {len(self.base64)} base64 characters>"


def parse_json(data: bytes | bytearray) -> Any:
    """Return the JSON value of ``data``; base64 strings of 64 KiB and more under the API's image keys become
    ``Payload``.

    Raises:
        ValueError: if ``data`` is not JSON.
    """
    if len(data) < _LARGE:
        return _loads(data)
    spans = _payload_spans(data)
    if not spans:
        return _loads(data)
    view = memoryview(data)
    reduced = bytearray()
    last = 0
    for number, (start, end) in enumerate(spans):
        reduced += view[last:start]
        reduced += f"{_MARK}{number}".encode()
        last = end
    reduced += view[last:]
    payloads = {f"{_MARK}{number}": Payload(view[start:end]) for number, (start, end) in enumerate(spans)}
    return _restore(_loads(reduced), payloads)


def _loads(data: bytes | bytearray) -> Any:
    if len(data) > 2 * MAX_JSON_VALUES and sum(map(data.count, b",[{")) > MAX_JSON_VALUES:
        raise ValueError(f"the JSON contains more than {MAX_JSON_VALUES} values")
    try:
        return from_json(data)
    except ValueError:
        pass
    # The fast parser refuses what must not lose the event: half of a surrogate pair at the edge of a delta, a byte that
    # is not UTF-8.
    try:
        return json.loads(data.decode("utf-8", "replace"), parse_int=_whole_number)
    except RecursionError as error:
        raise ValueError("the JSON nests too deep") from error


def _whole_number(digits: str) -> int | None:
    """Return the number; None for one of thousands of digits, which Python refuses and no field of the API has."""
    return int(digits) if len(digits) < _MAX_DIGITS else None


def _payload_spans(data: bytes | bytearray) -> list[tuple[int, int]]:
    """Return the positions of the payloads. What one key has found is not searched again for the next: it has tens of
    megabytes.
    """
    spans: list[tuple[int, int]] = []
    gaps = [(0, len(data))]
    for key in _KEYS:
        left: list[tuple[int, int]] = []
        for begin, stop in gaps:
            while (span := _next_payload(data, key, begin, stop)) is not None:
                spans.append(span)
                left.append((begin, span[0]))
                begin = span[1]
            left.append((begin, stop))
        gaps = left
    return sorted(spans)


def _next_payload(data: bytes | bytearray, key: bytes, at: int, stop: int) -> tuple[int, int] | None:
    while (at := data.find(key, at, stop)) >= 0:
        at = _skip_space(data, at + len(key))
        if data[at : at + 1] == b":":
            at = _skip_space(data, at + 1)
            if data[at : at + 1] == b'"':
                end = data.find(b'"', at + 1)
                # A backslash needs unescaping, and base64 contains none: the parser reads such a string.
                if end - at > _LARGE and data.find(b"\\", at, end) < 0:
                    return at + 1, end
    return None


def _skip_space(data: bytes | bytearray, at: int) -> int:
    while data[at : at + 1] and data[at] in _SPACE:
        at += 1
    return at


def _restore(value: Any, payloads: dict[str, Payload]) -> Any:
    if isinstance(value, str):
        return payloads.get(value, value)
    if isinstance(value, dict):
        return {key: _restore(item, payloads) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, payloads) for item in value]
    return value
