"""Output items whose fields have the types that every reader relies on, whatever a server put into them."""

from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.plain_items import as_text

_TEXTS = ("type", "call_id", "approval_request_id", "name", "server_label", "role", "status", "phase")
_TEXTS_OF_CALLS = ("arguments", "input")


def sound_item(item: Item) -> Item:
    """Return the item with text where the API has text.

    What identifies an item or a call (``type``, ``call_id``, ``name`` …) and a call's arguments become their JSON if
    they are of another type, so that a call can still be answered by its id. An ``id`` of another type is left out,
    since the API would refuse it when the item is sent again; only of an approval request it is kept as JSON, because
    the answer names it.
    """
    kind = item.get("type")
    odd = [name for name in _TEXTS if not isinstance(item.get(name), str | None)]
    if isinstance(kind, str) and kind.endswith("_call"):
        odd += [name for name in _TEXTS_OF_CALLS if not isinstance(item.get(name), str | None)]
    has_odd_id = "id" in item and not isinstance(item["id"], str | None)
    if not odd and not has_odd_id:
        return item
    sound: dict[str, Any] = {**item, **{name: as_text(item[name]) for name in odd}}
    if has_odd_id and kind == "mcp_approval_request":
        sound["id"] = as_text(item["id"])
    elif has_odd_id:
        del sound["id"]
    return sound
