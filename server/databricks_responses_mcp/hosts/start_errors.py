"""The last start error of the server in a host's own log, for hosts whose log can be found.

Claude Desktop writes ``mcp-server-NAME.log`` (documented; the lines are known from reports), Claude Code one JSON Lines
file a session in its cache (seen with 2.1.330). The logs of other hosts change their place with the version.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from databricks_responses_mcp.hosts.machine import Machine

_MAX_BYTES = 64_000
# In Claude Desktop's lines an object with a stack trace follows the error's text.
_DETAILS = re.compile(r"\s*\{.*$")
_STDERR = "Server stderr:"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")


def last_start_error(host: str, machine: Machine, name: str, project: Path) -> str:
    """Return why the server did not start the last time; "" if it started, or if nothing is known. Reads files.

    The text comes from the log and may contain secrets: redact it before it is shown.

    Args:
        host: the host's key.
        name: of the server, in the host's configuration.
        project: the folder in which the host was started.
    """
    read = _LOG_READERS.get(host)
    try:
        return read(machine, name, project) if read is not None else ""
    except OSError:
        return ""


def _claude_desktop(machine: Machine, name: str, _project: Path) -> str:
    if machine.platform == "darwin":
        folders = [machine.home / "Library" / "Logs" / "Claude"]
    elif machine.platform == "win32":
        packages = sorted((machine.local / "Packages").glob("Claude_*/LocalCache/Roaming/Claude/logs"))
        folders = [*packages, machine.roaming / "Claude" / "logs"]
    else:
        folders = [machine.xdg_config / "Claude" / "logs"]
    log = next((file for folder in folders if (file := folder / f"mcp-server-{name}.log").is_file()), None)
    if log is None:
        return ""
    last_start = _reason(_read(log, tail=True))
    return _DETAILS.sub("", last_start).strip()


def _reason(log: str) -> str:
    _, begun, last_start = log.rpartition("Initializing server...")
    if not begun or "Message from server" in last_start:
        return ""  # the log's end does not reach back to the start, or the server has answered
    lines = last_start.splitlines()
    errors = [line.partition("[error]")[2].strip() for line in lines if "[error]" in line]
    if errors and errors[0].startswith("Server disconnected"):
        # The reason is in the output of the process: the last line before the error without a time stamp.
        output = [line.strip() for line in last_start.partition("[error]")[0].splitlines() if not _TIME.match(line)]
        return next((line for line in reversed(output) if len(line) > 3), errors[0])
    return errors[0] if errors else ""


def _claude_code(machine: Machine, name: str, project: Path) -> str:
    if machine.platform == "darwin":
        cache = machine.home / "Library" / "Caches" / "claude-cli-nodejs"
    elif machine.platform == "win32":
        cache = machine.local / "claude-cli-nodejs" / "Cache"
    else:
        cache = (machine.folder("XDG_CACHE_HOME") or machine.home / ".cache") / "claude-cli-nodejs"
    folder = cache / re.sub(r"[^A-Za-z0-9]", "-", str(project)) / f"mcp-logs-{re.sub(r'[^A-Za-z0-9_-]', '-', name)}"
    sessions = sorted(folder.glob("*.jsonl"))
    if not sessions:
        return ""
    entries = [entry for line in _read(sessions[-1], tail=False).splitlines() if (entry := _object(line))]
    if any(str(entry.get("debug", "")).startswith("Successfully connected") for entry in entries):
        return ""
    errors = [str(entry["error"]) for entry in entries if entry.get("error")]
    if not errors:
        return ""
    output = [error.removeprefix(_STDERR).strip() for error in errors[:-1] if error.startswith(_STDERR)]
    return f"{errors[-1].strip()} (it said: {output[-1]})" if output else errors[-1].strip()


def _read(log: Path, *, tail: bool) -> str:
    with log.open("rb") as file:
        if tail:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _MAX_BYTES))
        return file.read(_MAX_BYTES).decode("utf-8", "replace")


def _object(line: str) -> Mapping[str, object]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


_LOG_READERS: Mapping[str, Callable[[Machine, str, Path], str]] = {
    "claude-desktop": _claude_desktop,
    "claude-code": _claude_code,
}
