"""stdout and stderr without the secrets of this process, whoever writes to them: commands, logs, tracebacks."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from databricks_responses_mcp.workspace.secret_values import SecretValues


class _RedactedStream(io.TextIOBase):
    """A text stream that takes secrets out; one that comes in several pieces, too.

    It offers no ``buffer``: bytes would get around it.
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
        """Write all but an end that may be the beginning of a secret."""
        whole = self._secrets.remove(self._held + text)
        held = self._secrets.beginning_at_end(whole)
        self._held = whole[len(whole) - held :] if held else ""
        self._stream.write(whole[: len(whole) - held] if held else whole)
        return len(text)

    def flush(self) -> None:
        """Flush what is written; what is held back stays."""
        self._stream.flush()

    def release(self) -> None:
        """Write what was held back: nothing more will come."""
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
        """Change how the stream underneath encodes."""
        reconfigure = getattr(self._stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(**options)


@contextmanager
def redacted_streams(secrets: SecretValues, *, stdout: bool) -> Iterator[None]:
    """Take secrets out of what is written to stderr, and to stdout if asked.

    Args:
        stdout: not where it carries the protocol, whose results have been through the same already.
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
