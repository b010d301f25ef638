"""Logs: only to stderr, one line for each event, without secrets."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from databricks_responses_mcp.workspace.redaction import redact


class _JsonLines(logging.Formatter):
    _encoder = json.JSONEncoder(ensure_ascii=False)

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return self._encoder.encode(line)


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return redact(super().format(record)) + fields


def _fields(record: logging.LogRecord) -> dict[str, str]:
    """Return what a line has besides its message, such as the ids of the request and of the user."""
    fields = getattr(record, "fields", None)
    return {str(name): ascii(value)[1:-1] for name, value in fields.items()} if isinstance(fields, Mapping) else {}


def configure_logging(level: str, log_format: str) -> None:
    """Send this process's logs to stderr.

    Args:
        level: ``DEBUG`` to ``ERROR``; the loggers of libraries stay at ``WARNING``, for ``DEBUG`` at ``INFO``.
        log_format: ``json`` for one object in each line, ``text`` for people.
    """
    handler = logging.StreamHandler(sys.stderr)
    plain = _TextLines("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if log_format == "json" else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # The debug lines of libraries contain whole headers, messages and events: secrets, prompts and answers.
    root.setLevel("INFO" if level == "DEBUG" else "WARNING")
    logging.getLogger("databricks_responses_mcp").setLevel(level)
