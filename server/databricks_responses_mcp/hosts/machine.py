"""The machine that hosts are looked for on: its platform, its home folder, its environment. Tests have others."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides where a host keeps its files.

    Attributes:
        platform: as ``sys.platform``: ``darwin``, ``win32``, anything else is taken for Linux.
        home: the user's home folder.
        environ: the user's environment variables.
    """

    platform: str
    home: Path
    environ: Mapping[str, str]

    @classmethod
    def this(cls) -> "Machine":
        """The one that runs this."""
        return cls(sys.platform, Path.home(), os.environ)

    @property
    def xdg_config(self) -> Path:
        """``XDG_CONFIG_HOME``, else ``~/.config``."""
        return self.folder("XDG_CONFIG_HOME") or self.home / ".config"

    @property
    def roaming(self) -> Path:
        """Windows' ``APPDATA``."""
        return self.folder("APPDATA") or self.home / "AppData" / "Roaming"

    @property
    def local(self) -> Path:
        """Windows' ``LOCALAPPDATA``."""
        return self.folder("LOCALAPPDATA") or self.home / "AppData" / "Local"

    @property
    def applications(self) -> Path:
        """Where desktop programs keep their settings, each in a folder of its own name."""
        if self.platform == "win32":
            return self.roaming
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.xdg_config

    @property
    def desktop_path(self) -> str:
        """The PATH of programs that were started from the desktop, which read no shell's start-up files."""
        if self.platform == "win32":
            return self.environ.get("PATH", "")
        if self.platform == "darwin":
            return "/usr/bin:/bin:/usr/sbin:/sbin"
        return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def folder(self, variable: str) -> Path | None:
        """The folder that a variable names; None if it is not set or not absolute, which hosts ignore too."""
        value = self.environ.get(variable, "").strip()
        if not value:
            return None
        path = Path(value).expanduser()
        return path if path.is_absolute() or self.platform == "win32" else None

    def which(self, command: str, path: str | None = None) -> Path | None:
        """Where a command is, on ``path`` or else on the user's PATH."""
        found = shutil.which(command, path=self.environ.get("PATH", "") if path is None else path)
        return Path(found) if found else None
