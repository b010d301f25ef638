"""Tool calls of the chat API, streamed in pieces: finding the call that a piece belongs to.

The API identifies it by ``index``. Servers leave that out, give every call the same one, repeat ids and names with each
piece, send the name last, or send the arguments as an object.
"""

from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.responses.event_items import CallItem
from databricks_responses_mcp.responses.event_writer import EventWriter
from databricks_responses_mcp.responses.json_in_text import is_json
from databricks_responses_mcp.responses.plain_items import as_text

_KNOWN = frozenset({"index", "id", "type", "function"})


class CallPieces:
    """The calls of one answer, as far as they have arrived."""

    def __init__(self, writer: EventWriter) -> None:
        self._writer = writer
        self._calls: list[CallItem] = []
        self._by_index: dict[int, CallItem] = {}
        self._by_id: dict[str, CallItem] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, piece: Any) -> None:
        """Process one element of ``tool_calls``, or an old ``function_call`` as ``{"function": …}``."""
        if not isinstance(piece, Mapping):
            return
        function = piece.get("function")
        function = function if isinstance(function, Mapping) else {}
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        given_id = piece.get("id")
        given_id = given_id if isinstance(given_id, str) else ""
        call = self._call(piece.get("index"), given_id, name)
        self._keep_extras(call, piece, function)
        if name:
            _name(call, name, goes_on=not given_id)
            call.open()
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping | list):
            arguments = as_text(arguments)
        if isinstance(arguments, str) and arguments:
            call.arguments(arguments)

    def close(self, *, cut: bool) -> None:
        """End the calls: no more pieces follow.

        Args:
            cut: whether the answer was truncated: a call whose arguments are not valid JSON yet cannot be answered.
        """
        for call in self._calls:
            whole = not cut or is_json(call.arguments_so_far)
            call.close("completed" if whole else "incomplete")

    def _call(self, index: Any, given_id: str, name: str) -> CallItem:
        known = self._known(index, given_id, name)
        if known is not None:
            if given_id and given_id not in self._by_id and not self._has_own_id(known):
                known.call_id = given_id
                self._by_id[given_id] = known
            if isinstance(index, int):
                self._by_index.setdefault(index, known)
            return known
        number = len(self._calls)
        # An id that another call of this answer has could not be answered separately.
        own = given_id if given_id and given_id not in self._by_id else f"call_{self._writer.nonce}_{number}"
        call = CallItem(self._writer, own)
        self._calls.append(call)
        self._by_id.setdefault(given_id or own, call)
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def _known(self, index: Any, given_id: str, name: str) -> CallItem | None:
        same = self._by_id.get(given_id) if given_id else None
        if isinstance(index, int):
            there = self._by_index.get(index)
            if there is None:
                # The index counts, even if two calls have the same id. But arguments alone, for a call that has not
                # begun, belong to the call before if its arguments are incomplete.
                return None if name or (given_id and same is None) else same or self._unfinished()
            # One index for all calls: another id together with a name is another call.
            is_another = bool(name and given_id and same is not there and self._has_own_id(there))
            return same if is_another else there
        if given_id:
            return same
        if not self._calls or (name and self._calls[-1].has_arguments):
            return None
        return self._calls[-1]

    def _unfinished(self) -> CallItem | None:
        """Return the last call if its arguments are incomplete."""
        last = self._calls[-1] if self._calls else None
        return last if last is not None and last.name and not is_json(last.arguments_so_far) else None

    def _has_own_id(self, call: CallItem) -> bool:
        return not call.call_id.startswith(f"call_{self._writer.nonce}_")

    @staticmethod
    def _keep_extras(call: CallItem, piece: Mapping[str, Any], function: Mapping[str, Any]) -> None:
        # Gemini signs its calls and requires the signature later; its place differs between servers.
        call.extras |= {str(key): value for key, value in piece.items() if key not in _KNOWN and value is not None}
        told = {str(key): value for key, value in function.items() if key not in ("name", "arguments")}
        if told := {key: value for key, value in told.items() if value is not None}:
            call.extras["function"] = {**call.extras.get("function", {}), **told}


def _name(call: CallItem, name: str, *, goes_on: bool) -> None:
    if not call.name or name.startswith(call.name):
        call.name = name
    elif goes_on and not call.has_arguments:
        call.name += name
