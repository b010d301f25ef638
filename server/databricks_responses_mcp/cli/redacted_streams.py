"""stdout and stderr without the secrets of this process, for all output: commands, logs, tracebacks."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from databricks_responses_mcp.workspace.secret_values import SecretValues


class _RedactedStream(io.TextIOBase):
    """A text stream that removes secrets, even if one is written in several pieces.

    It has no ``buffer``: writing bytes would bypass it.
    """

    def __init__(self, stream: TextIO, secrets: SecretValues) -> None:
        super().__init__()
        self._stream = stream
        self._secrets = secrets
        self._held = ""

    @property
    def encoding(self) -> str:  # type: ignore[override] # read-only here
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override] # read-only here
        return self._stream.errors

    def write(self, text: str) -> int:
        """Write all except an end that may be the beginning of a secret."""
        whole = self._secrets.remove(self._held + text)
        held = self._secrets.beginning_at_end(whole)
        self._held = whole[len(whole) - held :] if held else ""
        self._stream.write(whole[: len(whole) - held] if held else whole)
        return len(text)

    def flush(self) -> None:
        """Flush what is written; what is held back stays."""
        self._stream.flush()

    def release(self) -> None:
        """Write what was held back: nothing more follows."""
        held, self._held = self._held, ""
        if held:
            self._stream.write(held)
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def reconfigure(self, **options: Any) -> None:
        """Change the encoding of the underlying stream."""
        reconfigure = getattr(self._stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(**options)


@contextmanager
def redacted_streams(secrets: SecretValues, *, stdout: bool) -> Iterator[None]:
    """Remove secrets from what is written to stderr, and to stdout if requested.

    Args:
        stdout: false if it carries the protocol, whose results are already redacted.
    """
    replaced = [name for name in (("stdout", "stderr") if stdout else ("stderr",)) if getattr(sys, name) is not None]
    originals = {name: getattr(sys, name) for name in replaced}
    streams = {name: _RedactedStream(stream, secrets) for name, stream in originals.items()}
    for name, stream in streams.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, originals[name])
            try:
                stream.release()
            except (OSError, ValueError):
                # Nobody reads any more.
                continue
