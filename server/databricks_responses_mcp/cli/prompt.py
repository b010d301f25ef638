"""The prompt of a command: its argument, its standard input, or both."""

import codecs
import sys
import threading
from contextlib import suppress
from typing import BinaryIO

from databricks_responses_mcp.cli.printing import note
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.file_kinds import kind_of

_MAX_BYTES = 32 * 1024 * 1024
_PATIENCE_SECONDS = 3.0
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_prompt(argument: str | None) -> str:
    """Return the prompt: the argument, then standard input; ``-`` and no argument mean standard input alone.

    Raises:
        BridgeError: ``invalid_argument`` if there is none, or it is not text; ``too_large``.
    """
    given = None if argument == "-" else argument
    stdin = sys.stdin
    piped = ""
    if stdin is not None and (argument == "-" or not stdin.isatty()):
        piped = _text(_read(stdin.buffer, waits=given is not None))
    prompt = "\n\n".join(part for part in (given, piped.rstrip("\r\n")) if part and part.strip())
    if not prompt:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "There is no prompt.",
            "Give it as an argument in quotes, or pipe it in.",
        )
    return prompt


def _read(source: BinaryIO, *, waits: bool) -> bytes:
    # A script may start the command with a pipe as stdin that is never written to or closed: report what it waits for.
    told = "Reading the rest of the prompt from stdin until it ends (`< /dev/null` gives none)."
    hint = threading.Timer(_PATIENCE_SECONDS, note, (told,))
    hint.daemon = True
    if waits:
        hint.start()
    try:
        data = source.read(_MAX_BYTES + 1)
    except OSError:
        return b""  # stdin cannot be read: a closed descriptor, a directory
    finally:
        hint.cancel()
    if len(data) > _MAX_BYTES:
        raise BridgeError(
            ErrorCode.TOO_LARGE,
            f"More than {_MAX_BYTES // 1024 // 1024} MB were piped in; the workspace takes no more in one request.",
            "Pipe in the part that matters.",
        )
    return data


def _text(data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    text = "\0"
    # A PDF, for example, may be valid UTF-8 without being text.
    if kind_of(data) is None:
        with suppress(UnicodeDecodeError):
            text = data.decode(encoding)
    if "\0" in text:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "What was piped in is not text in UTF-8.",
            "Give a picture with --image and any other file with --file, or convert the text.",
        )
    return text
