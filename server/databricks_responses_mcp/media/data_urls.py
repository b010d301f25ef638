"""Files that a caller gives as a data URL."""

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media import base64_data
from databricks_responses_mcp.media.failures import shown


def read_data_url(reference: str, max_bytes: int, too_large: Callable[[str, int, int], BridgeError]) -> bytes:
    """The bytes of a data URL, whatever type it declares. Takes CPU: call it in a worker thread.

    Args:
        max_bytes: the most that is taken.
        too_large: makes the error for more, of the reference, its size in bytes and ``max_bytes``.

    Raises:
        BridgeError: ``invalid_argument`` for what is not base64, and what ``too_large`` makes.
    """
    head, _, payload = reference.partition(",")
    bad = BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(reference)} is not base64 data.",
        "Write data URLs as data:image/png;base64,… or give the path of the file.",
    )
    if not re.search(r";\s*base64\s*$", head, re.IGNORECASE):
        raise bad
    if len(payload) * 3 // 4 > 2 * max_bytes + 4096:  # white space and %xx may inflate it, but not without end
        raise too_large(reference, len(payload) * 3 // 4, max_bytes)
    try:
        data = base64_data.decode(unquote_to_bytes(payload) if "%" in payload else payload)
    except ValueError as error:
        raise bad from error
    if len(data) > max_bytes:
        raise too_large(reference, len(data), max_bytes)
    return data
