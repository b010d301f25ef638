"""The machine on which hosts are detected: its platform, home folder and environment. Tests pass other ones."""

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

if sys.platform == "win32":
    import winreg

_PATHEXT = ".COM;.EXE;.BAT;.CMD"
"""Windows' own default."""


_SESSION_FILES = (
    *(".pam_environment", ".profile", ".bash_profile", ".bash_login", ".bashrc", ".zshenv", ".zprofile", ".zshrc"),
    *(".zlogin", ".config/fish/config.fish"),
)
_ASSIGNED = re.compile(
    r"^[ \t]*(?:(?:export[ \t]+)?([A-Za-z_]\w*)(?:=|[ \t]+DEFAULT=)|set[ \t]+-\w*x\w*[ \t]+([A-Za-z_]\w*))",
    re.MULTILINE,
)
_MAX_CHARACTERS = 200_000


def _beginning(file: Path) -> str:
    try:
        if not file.is_file():
            return ""
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(_MAX_CHARACTERS)
    except OSError:
        return ""


def _registry_variables() -> frozenset[str]:
    """Return the names of the user's and the machine's variables, which Windows gives to every new program."""
    names: set[str] = set()
    if sys.platform == "win32":
        places = (
            (winreg.HKEY_CURRENT_USER, "Environment"),
            (winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"),
        )
        for root, path in places:
            with suppress(OSError), winreg.OpenKey(root, path) as key:
                names |= {winreg.EnumValue(key, index)[0].upper() for index in range(winreg.QueryInfoKey(key)[1])}
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides where a host keeps its files.

    Attributes:
        platform: as ``sys.platform``: ``darwin`` or ``win32``; anything else is treated as Linux.
        home: the user's home folder.
        environ: the user's environment variables.
    """

    platform: str
    home: Path
    environ: Mapping[str, str]

    @classmethod
    def this(cls) -> "Machine":
        """Return the machine that runs this process."""
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
        """The folder in which desktop programs store their settings, each in a folder of its own name."""
        if self.platform == "win32":
            return self.roaming
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.xdg_config

    @property
    def desktop_path(self) -> str:
        """The PATH of programs that are started from the desktop, which do not read a shell's start-up files."""
        if self.platform == "win32":
            return self.environ.get("PATH", "")
        if self.platform == "darwin":
            return "/usr/bin:/bin:/usr/sbin:/sbin"
        return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def desktop_variables(self) -> frozenset[str]:
        """Return the names of variables in the environment of desktop programs. Reads files, or the registry.

        They are the variables of the session, and those set in a shell's start-up files, because editors run a login
        shell to read them. A variable that was only exported in a shell is not included.
        """
        if self.platform == "win32":
            return _registry_variables()
        files = [Path("/etc/environment"), *(self.home / name for name in _SESSION_FILES)]
        with suppress(OSError):
            files += sorted((self.home / ".config" / "environment.d").glob("*.conf"))
        return frozenset(
            name for file in files for names in _ASSIGNED.findall(_beginning(file)) for name in names if name
        )

    def folder(self, variable: str) -> Path | None:
        """Return the folder that a variable names; None if it is not set or not absolute: hosts ignore it then."""
        value = self.environ.get(variable, "").strip()
        if not value:
            return None
        path = Path(value).expanduser()
        return path if path.is_absolute() or self.platform == "win32" else None

    def which(self, command: str, path: str | None = None) -> Path | None:
        """Return the file of a command, on ``path`` or else on the user's PATH; relative folders are skipped.

        `shutil.which` would search the current folder first on Windows, which may be an untrusted project.
        """
        if os.path.dirname(command):  # noqa: PTH120 - "./command" has one, and a Path has lost it
            return self._find_program(Path(command))
        folders = (self.environ.get("PATH", "") if path is None else path).split(os.pathsep)
        absolute = (Path(folder.strip('"')) for folder in folders if os.path.isabs(folder.strip('"')))  # noqa: PTH117
        return next((found for folder in absolute if (found := self._find_program(folder / command)) is not None), None)

    def _find_program(self, path: Path) -> Path | None:
        """Return the program at a path; on Windows its extension (``.exe``, or npm's ``.cmd``) may be left out."""
        names = [path]
        if self.platform == "win32":
            endings = [ending.lower() for ending in self.environ.get("PATHEXT", _PATHEXT).split(";") if ending]
            given = [path] if path.suffix.lower() in endings else []
            names = [*given, *(path.with_name(path.name + ending) for ending in endings)]
        return next((name for name in names if name.is_file() and os.access(name, os.X_OK)), None)
