"""Parsing a client's JSON-RPC message or refusing it, so that every request gets an answer.

The SDK drops a message that it cannot parse. A client that sent it as a request waits, often without a timeout.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mcp_types.jsonrpc import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from pydantic_core import from_json

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest accepted message, in bytes: enough for two input images of the maximum size as data URLs."""

_MAX_BATCH = 100
_MAX_TOKENS_READ_FOR_ID = 1_000_000
_KIND_MEMBERS = frozenset({"method", "result", "error"})
_LIMITS = "JSON may nest 200 levels deep, and a number may have 4,300 digits."
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]:,"]|[^\s"{}\[\]:,]++', re.DOTALL)
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_ID_AT_END = re.compile(rb'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]{1,19})\s*\}?\s*$')
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)
_LONE_ESCAPE_CHARACTERS = len(r"\ud83d")
_LINE_BREAKS = (("\u0085", "\\u0085"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


@dataclass(frozen=True, slots=True)
class Received:
    """The result of reading one message.

    Attributes:
        message: the message; None if it is invalid.
        body: the JSON of the message, repaired if necessary.
        refusals: JSON-RPC error responses to an invalid message, one for each id.
    """

    message: JSONRPCMessage | None = None
    body: bytes | bytearray = b""
    refusals: tuple[dict[str, Any], ...] = ()


def read_message(data: bytes | bytearray) -> Received:
    """Parse one message.

    Lone surrogates, which JavaScript writes for text that was cut inside a character, become U+FFFD, as do bytes that
    are not UTF-8. An invalid response is dropped: nobody waits for an answer to it.
    """
    try:
        # Almost every message is one: the adapter compares it with all four kinds.
        return Received(JSONRPCRequest.model_validate_json(data, by_name=False), data)
    except ValueError:
        pass
    try:
        message = jsonrpc_message_adapter.validate_json(data, by_name=False)
    except ValueError:
        return _read_leniently(data)
    if isinstance(message, JSONRPCNotification) and b'"id"' in data:
        # The SDK parses a request whose id has a wrong type as a notification.
        return _read_leniently(data)
    return Received(message, data)


def refuse_oversized(start: bytes, end: bytes) -> Received:
    """Refuse a message of more than `MAX_MESSAGE_BYTES`.

    Args:
        start: its first bytes.
        end: its last bytes, where some clients write the id.
    """
    text = start.decode("utf-8", "replace")
    identifier, is_response = _identify(text)
    if identifier is None and (found := _ID_AT_END.search(end)) is not None:
        identifier = from_json(_repaired(found[1].decode("utf-8", "replace")))
    if is_response:
        return Received()
    return _refused(
        identifier, INVALID_REQUEST, f"Invalid Request: the message has more than {MAX_MESSAGE_BYTES} bytes"
    )


def json_line(message: JSONRPCMessage | Mapping[str, Any]) -> str:
    """Return a message as one line of JSON without characters that some programs treat as line breaks.

    The separators U+0085, U+2028 and U+2029 are escaped: Node's ``readline`` and others split a line there.
    """
    if isinstance(message, Mapping):
        return json.dumps(message, separators=(",", ":"))
    try:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:
        # Text from outside can contain lone surrogates, which cannot be encoded.
        dumped = message.model_dump(mode="python", by_alias=True, exclude_unset=True)
        return _repaired(json.dumps(dumped, separators=(",", ":"), default=str))
    if not text.isascii():
        # Each is one fast search, where `str.translate` looks up every character.
        for character, escape in _LINE_BREAKS:
            text = text.replace(character, escape)
    return text


def escape_line_breaks(chunk: bytes) -> bytes:
    """Escape the same separators as `json_line` in JSON, or in a part of it that was cut between characters."""
    for character, escape in ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029")):
        chunk = chunk.replace(character, escape)
    return chunk


def _read_leniently(data: bytes | bytearray) -> Received:
    text = _repaired(data.decode("utf-8", "replace").removeprefix("\ufeff"))
    if not text.strip():
        return Received()
    try:
        value = from_json(text)
    except ValueError as error:
        identifier, is_response = _identify(text)
        return Received() if is_response else _refused(identifier, PARSE_ERROR, f"Parse error: {error}. {_LIMITS}")
    if isinstance(value, list):
        return _refuse_batch(value)
    if not isinstance(value, dict):
        return _refused(None, INVALID_REQUEST, "Invalid Request: a message is a JSON object")
    return _read_object(value, text.encode())


def _read_object(value: dict[str, Any], body: bytes) -> Received:
    try:
        message = jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValueError:
        if _is_response(value):
            return Received()
        return _refused(_usable_id(value), INVALID_REQUEST, f"Invalid Request: {_problem(value)}")
    if isinstance(message, JSONRPCNotification) and "id" in value:
        return _refused(_usable_id(value), INVALID_REQUEST, "Invalid Request: `id` is a string or a whole number")
    return Received(message, body)


def _refuse_batch(batch: list[Any]) -> Received:
    ids = [_usable_id(entry) for entry in batch if isinstance(entry, dict) and "id" in entry and "method" in entry]
    if not ids or len(ids) > _MAX_BATCH:
        ids = [None]
    text = "Invalid Request: batches are not supported, send each message by itself"
    return Received(refusals=tuple(_error(identifier, INVALID_REQUEST, text) for identifier in ids))


def _refused(identifier: Any, code: int, message: str) -> Received:
    return Received(refusals=(_error(identifier, code, message),))


def _error(identifier: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": message}}


def _problem(value: Mapping[str, Any]) -> str:
    if value.get("jsonrpc") != "2.0":
        return '`jsonrpc` must be "2.0"'
    if not isinstance(value.get("method"), str):
        return "`method` must be a string"
    if not isinstance(value.get("params", {}), dict):
        return "`params` must be an object"
    return "`id` is a string or a whole number"


def _usable_id(value: Mapping[str, Any]) -> str | int | float | None:
    """Return the id of a request; None if it has a type that JSON-RPC does not allow."""
    identifier = value.get("id")
    usable = isinstance(identifier, str | int | float) and not isinstance(identifier, bool)
    return identifier if usable else None


def _is_response(members: Mapping[str, Any] | set[str]) -> bool:
    return "method" not in members and ("result" in members or "error" in members)


def _identify(text: str) -> tuple[str | int | None, bool]:
    """Return the id in an invalid JSON object, if it can be found, and whether the object is a response."""
    names: set[str] = set()
    identifier: str | int | None = None
    depth, name, number_at_end = 0, None, False
    for match in islice(_TOKEN.finditer(text), _MAX_TOKENS_READ_FOR_ID):
        piece = match[0]
        number_at_end = False
        if piece == '"' or (depth == 0 and piece != "{"):
            break  # an unterminated string, or not an object
        if piece in "{[":
            depth += 1
        elif piece in "}]":
            depth -= 1
        elif depth == 1 and piece == ",":
            name = None
        elif depth == 1 and piece[0] == '"' and name is None:
            name = piece[1:-1]
            names |= {name} & _KIND_MEMBERS
        elif depth == 1 and name == "id" and piece != ":":
            if piece[0] == '"':
                identifier = _text_of(piece)
            elif _WHOLE_NUMBER.fullmatch(piece):
                identifier, number_at_end = int(piece), True
    # The last number of a truncated text may lack digits.
    return (None if number_at_end else identifier), _is_response(names)


def _text_of(token: str) -> str | None:
    try:
        text: str = from_json(token)
    except ValueError:
        return None
    return text


def _repaired(text: str) -> str:
    """Replace each escape of a lone surrogate in JSON text by U+FFFD."""
    return _ESCAPE.sub(_repair, text) if "\\u" in text else text


def _repair(escape: re.Match[str]) -> str:
    is_lone = len(escape[0]) == _LONE_ESCAPE_CHARACTERS
    return "\\ufffd" if is_lone else escape[0]
