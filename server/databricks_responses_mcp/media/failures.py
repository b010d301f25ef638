"""Errors about files and images: a reference shown safely, several failures combined."""

import re
from collections.abc import Sequence

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.visible import visible

_SHOWN_LENGTH = 160
_MAX_LISTED = 10
"""The maximum number of failures of one call that are listed."""


def shown(reference: str) -> str:
    """Return a reference for an error: quoted, on one line, short, and without parts that may be secret.

    Of a data URL only its type is shown; of a web URL user name, password, query and fragment are removed.
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
    """Return a number of bytes for people: ``812 bytes``, ``3.4 MB``."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def together(errors: Sequence[BridgeError], total: int, kind: str) -> BridgeError:
    """Return one error that reports all of ``errors``, from reading ``total`` items of a kind (``images``).

    It has their code if they agree, else ``invalid_argument``; it is retryable only if each of them is.
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
