"""Volumes of Unity Catalog: directories and files, in memory."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

_PARTS_OF_VOLUME = 5
_LARGEST_FILE = 5 * 1024**3


@dataclass(eq=False)
class Volume:
    """A volume.

    Attributes:
        files: bytes by path below the volume, such as ``team/a.png``.
        directories: paths below the volume; the volume itself is the empty path.
        largest_file: more bytes are refused in one upload.
        needs_directories: whether a file can be written only to a directory that exists; otherwise the directory is
            created with the file.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    directories: set[str] = field(default_factory=lambda: {""})
    largest_file: int = _LARGEST_FILE
    needs_directories: bool = True

    def make_directory(self, path: str) -> None:
        """Create a directory and those above it."""
        self.directories |= {path, *parents(path)}

    def children(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and the files of a directory."""
        return (
            sorted(name for name in self.directories if name and parent(name) == path),
            sorted(name for name in self.files if parent(name) == path),
        )


def default_volumes() -> dict[str, Volume]:
    """Return the volumes of a new workspace, by ``catalog.schema.volume``."""
    return {"main.default.pictures": Volume()}


def split_path(path: str) -> tuple[str, str] | None:
    """Return the volume and the path below it of ``/Volumes/catalog/schema/volume/…``; None for every other path."""
    parts = PurePosixPath(path).parts
    if len(parts) < _PARTS_OF_VOLUME or parts[:2] != ("/", "Volumes") or {".", ".."} & set(path.split("/")):
        return None
    return ".".join(parts[2:_PARTS_OF_VOLUME]), "/".join(parts[_PARTS_OF_VOLUME:])


def parent(path: str) -> str:
    """Return the directory of a path below a volume."""
    return path.rpartition("/")[0]


def parents(path: str) -> set[str]:
    """Return every directory above a path below a volume, the volume itself among them."""
    found = {""}
    while path:
        path = parent(path)
        found.add(path)
    return found
