"""The Files API: ``/api/2.0/fs/files/Volumes/…`` and ``/api/2.0/fs/directories/Volumes/…``."""

from typing import Any
from urllib.parse import parse_qs

from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.replies import ApiError, workspace_error
from databricks_workspace_emulator.volumes import Volume, parent, split_path

_BYTES = "application/octet-stream"
_MODIFIED = "Sat, 01 Nov 2025 12:00:00 GMT"
_MODIFIED_MS = 1_761_998_400_000


async def put_file(incoming: Incoming) -> Reply:
    """Write a file: 409 if it exists and is not to be replaced, 404 without its directory, 413 if it is too large."""
    volume, path = _place(incoming)
    overwrite = parse_qs(incoming.exchange.query).get("overwrite", ["false"])[0].lower() == "true"
    if path in volume.directories:
        raise workspace_error(409, "ALREADY_EXISTS", "A directory of that name already exists.")
    if path in volume.files and not overwrite:
        raise workspace_error(409, "ALREADY_EXISTS", "The file being created already exists.")
    if len(incoming.raw) > volume.largest_file:
        raise workspace_error(413, "REQUEST_TOO_LARGE", f"The file is larger than {volume.largest_file} bytes.")
    if volume.needs_directories and parent(path) not in volume.directories:
        raise workspace_error(404, "NOT_FOUND", "The directory being accessed is not found.")
    volume.make_directory(parent(path))
    volume.files[path] = incoming.raw
    return Reply(b"", 204)


async def get_file(incoming: Incoming) -> Reply:
    """Read a file, or with HEAD only its size."""
    volume, path = _place(incoming)
    return Reply(_file(volume, path), 200, _BYTES, {"last-modified": _MODIFIED})


async def delete_file(incoming: Incoming) -> Reply:
    """Delete a file."""
    volume, path = _place(incoming)
    _file(volume, path)
    del volume.files[path]
    return Reply(b"", 204)


async def create_directory(incoming: Incoming) -> Reply:
    """Create a directory and those above it; it may exist."""
    volume, path = _place(incoming)
    if path in volume.files:
        raise workspace_error(409, "ALREADY_EXISTS", "A file of that name already exists.")
    volume.make_directory(path)
    return Reply(b"", 204)


async def list_directory(incoming: Incoming) -> Reply:
    """List a directory, or with HEAD only say whether it exists."""
    volume, path = _place(incoming)
    _require_directory(volume, path)
    if incoming.exchange.method == "HEAD":
        return Reply(b"", 200)
    directories, files = volume.children(path)
    root = f"/{incoming.path_params['path']}".rstrip("/")
    entries: list[dict[str, Any]] = [
        {"path": f"{root}/{_name(entry)}", "is_directory": True, "name": _name(entry)} for entry in directories
    ]
    entries += [
        {
            "path": f"{root}/{_name(entry)}",
            "is_directory": False,
            "file_size": len(volume.files[entry]),
            "last_modified": _MODIFIED_MS,
            "name": _name(entry),
        }
        for entry in files
    ]
    return json_reply({"contents": entries})


async def delete_directory(incoming: Incoming) -> Reply:
    """Delete an empty directory."""
    volume, path = _place(incoming)
    _require_directory(volume, path)
    if any(volume.children(path)) or not path:
        raise workspace_error(400, "INVALID_PARAMETER_VALUE", "The directory is not empty.")
    volume.directories.discard(path)
    return Reply(b"", 204)


def _place(incoming: Incoming) -> tuple[Volume, str]:
    """Return the volume that a request names, and the path below it.

    Raises:
        ApiError: 400 for a path outside volumes, 404 for an unknown volume, 403 for one that the user may not use.
    """
    path = f"/{incoming.path_params['path']}"
    place = split_path(path)
    if place is None:
        raise workspace_error(400, "INVALID_PARAMETER_VALUE", f"Invalid path: '{path}'.")
    name, below = place
    volume = incoming.state.volumes.get(name)
    if volume is None:
        raise workspace_error(404, "NOT_FOUND", f"Volume '{name}' does not exist.")
    if name in incoming.user.unreadable_volumes:
        right = "READ VOLUME" if incoming.exchange.method in ("GET", "HEAD") else "WRITE VOLUME"
        raise workspace_error(403, "PERMISSION_DENIED", f"User does not have {right} on Volume '{name}'.")
    return volume, below


def _file(volume: Volume, path: str) -> bytes:
    data = volume.files.get(path)
    if data is None:
        raise _not_found("file")
    return data


def _require_directory(volume: Volume, path: str) -> None:
    if path not in volume.directories:
        raise _not_found("directory")


def _not_found(kind: str) -> ApiError:
    return workspace_error(404, "NOT_FOUND", f"The {kind} being accessed is not found.")


def _name(path: str) -> str:
    return path.rpartition("/")[2]
