"""Real programs on a terminal (tmux), typed into; and real hosts, whose own model is played on loopback."""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from databricks_workspace_emulator.engines.base import TextRequest

COLUMNS = 108
_SECONDS = 60

QUESTION = "Get a second opinion on my SQL from Databricks."
REQUEST = "Get a second opinion on my SQL from Databricks, then draw a lighthouse."
SQL = "Is this SQL safe to run twice? INSERT INTO runs SELECT * FROM staging"
OPINION = (
    "No. INSERT appends, so a second run doubles the rows. Use MERGE INTO runs USING staging ON runs.id = staging.id "
    "WHEN NOT MATCHED THEN INSERT *, which is safe to run again."
)
CONCLUSION = (
    "The workspace's model says no: the INSERT appends, so a second run doubles the rows. It suggests MERGE INTO."
)
LAST_WORDS = f"{CONCLUSION} The lighthouse is saved in your pictures folder."


class FixedAnswers:
    """What stands in for the workspace's model: the same words each time."""

    label = "databricks-gpt-5"

    async def stream(self, request: TextRequest) -> AsyncIterator[str]:
        asked = next(message.content for message in reversed(request.messages) if message.role == "user")
        words = (OPINION if "SQL" in str(asked) else "A lighthouse at dusk.").split()
        for number, word in enumerate(words):
            yield f" {word}" if number else word

    async def aclose(self) -> None:
        """Nothing to stop."""


class Terminal:
    """A program on a terminal."""

    def __init__(self, name: str) -> None:
        self._name = name

    def type(self, text: str) -> None:
        """Press keys, as text."""
        _tmux("send-keys", "-t", self._name, "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys, by name."""
        _tmux("send-keys", "-t", self._name, *keys)

    def shown(self) -> str:
        """The screen, without colours."""
        return _tmux("capture-pane", "-p", "-t", self._name)

    def until(self, *texts: str, seconds: float = _SECONDS) -> str:
        """Wait until one of these is on the screen; which."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            shown = " ".join(self.shown().split())
            for text in texts:
                if text in shown:
                    return text
            time.sleep(0.2)
        raise SystemExit(f"{texts} did not come:\n{self.shown()}")

    def still(self) -> str:
        """The screen with its colours, when nothing on it has changed for a while."""
        before = ""
        while (now := _tmux("capture-pane", "-p", "-e", "-N", "-t", self._name)) != before:
            before = now
            time.sleep(1.5)
        return now


@contextmanager
def terminal(argv: list[str], environ: Mapping[str, str], cwd: Path, rows: int = 40) -> Iterator[Terminal]:
    """Run a program on a terminal of its own; it is ended with the context."""
    name = f"picture-{os.getpid()}"
    settings = {"TERM": "tmux-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **environ}
    line = shlex.join(["env", "-i", *(f"{key}={value}" for key, value in settings.items()), *argv])
    _tmux("new-session", "-d", "-s", name, "-x", str(COLUMNS), "-y", str(rows), "-c", str(cwd), line)
    _tmux("set-option", "-t", name, "status", "off")
    _tmux("set-option", "-t", name, "remain-on-exit", "on")  # to see what a program said that has ended
    try:
        yield Terminal(name)
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            _tmux("kill-session", "-t", name)


def _tmux(*arguments: str) -> str:
    argv = ["tmux", "-L", "pictures", *arguments]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stdout
