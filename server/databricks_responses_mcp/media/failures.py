"""How failures of files and pictures are worded: a reference shown safely, several failures told as one."""

import re
from collections.abc import Sequence

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.visible import visible

_SHOWN_LENGTH = 160
_MAX_LISTED = 10
"""How many failures of one call are told one by one."""


def shown(reference: str) -> str:
    """A reference as an error may name it: quoted, on one line, short, and without what may be a secret.

    Of a data URL only its type stays; of a web URL the user name, password, query and fragment go.
    """
    if reference[:5].lower() == "data:":
        media_type = reference[5:64].split(",", 1)[0].split(";", 1)[0]
        return f"the data URL ({visible(media_type) or 'no type'}, {len(reference)} characters)"
    web = re.match(r"(?is)^(https?://)(?:[^/?#]*@)?([^?#]*)", reference)
    text = web[1] + web[2] + ("?…" if "?" in reference else "") if web else reference
    text = visible(text)
    if len(text) > _SHOWN_LENGTH:
        text = f"{text[: _SHOWN_LENGTH // 2]}…{text[-_SHOWN_LENGTH // 2 :]}"
    return f"“{text}”"


def in_units(count: int) -> str:
    """A number of bytes for people: ``812 bytes``, ``3.4 MB``."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def together(errors: Sequence[BridgeError], total: int, kind: str) -> BridgeError:
    """One error that tells all of ``errors``, met while reading ``total`` things of a kind (``images``).

    The code is theirs if they agree, else ``invalid_argument``; it is retryable only if each of them is.
    """
    if len(errors) == 1:
        return errors[0]
    codes = {error.code for error in errors}
    listed = " ".join(f"({number}) {error.message}" for number, error in enumerate(errors[:_MAX_LISTED], 1))
    if len(errors) > _MAX_LISTED:
        listed += f" And {len(errors) - _MAX_LISTED} more."
    return BridgeError(
        codes.pop() if len(codes) == 1 else ErrorCode.INVALID_ARGUMENT,
        f"{len(errors)} of {total} {kind} cannot be used: {listed}",
        " ".join(list(dict.fromkeys(error.hint for error in errors))[:_MAX_LISTED]),
        retryable=all(error.retryable for error in errors),
        advice=tuple(dict.fromkeys(advice for error in errors for advice in error.advice)),
    )
