"""Logs: only to stderr, one line for each event, without secrets."""

import json
import logging
import sys
from datetime import UTC, datetime

from databricks_responses_mcp.workspace.redaction import redact


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure_logging(level: str, log_format: str) -> None:
    """Send this process's logs to stderr.

    Args:
        level: ``DEBUG`` to ``ERROR``; the loggers of libraries stay at ``WARNING`` unless it is ``DEBUG``.
        log_format: ``json`` for one object in each line, ``text`` for people.
    """
    handler = logging.StreamHandler(sys.stderr)
    plain = _TextLines("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if log_format == "json" else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("DEBUG" if level == "DEBUG" else "WARNING")
    logging.getLogger("databricks_responses_mcp").setLevel(level)
    # Its debug lines contain whole headers, including cookies.
    logging.getLogger("httpcore").setLevel("INFO")
