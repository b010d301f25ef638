"""Files in one folder of a Unity Catalog volume, through the Files API, with the credentials of the client."""

from collections.abc import Callable, Sequence
from urllib.parse import quote

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.http import WorkspaceClient

_FILES = "/api/2.0/fs/files"
_DIRECTORIES = "/api/2.0/fs/directories"
_NOT_FOUND, _EXISTS = 404, 409
_MAX_PAGES = 10


class VolumeFiles:
    """Files in a folder, which is created with the first file.

    Args:
        client: the workspace; asked for at each use.
        folder: its path, ``/Volumes/catalog/schema/volume/…``.
    """

    def __init__(self, client: Callable[[], WorkspaceClient], folder: str) -> None:
        self._client = client
        self._folder = folder

    async def write(self, name: str, data: bytes) -> None:
        """Write a file, all of it or nothing. An existing file stays: its name is derived from its content.

        Raises:
            BridgeError: if it cannot be written.
        """
        try:
            await self._put(name, data)
        except BridgeError as error:
            if error.status != _NOT_FOUND:
                raise self._explained(error) from error
            try:
                await self._client().transfer("PUT", f"{_DIRECTORIES}{quote(self._folder)}")
                await self._put(name, data)
            except BridgeError as second:
                raise self._explained(second) from second

    async def read(self, name: str, *, most_bytes: int) -> bytes | None:
        """Return the content of a file; None if there is none.

        Raises:
            BridgeError: ``too_large`` above ``most_bytes``; others if it cannot be read.
        """
        try:
            return await self._client().transfer("GET", self._path(name), most_bytes=most_bytes)
        except BridgeError as error:
            if error.status == _NOT_FOUND:
                return None
            raise self._explained(error) from error

    async def names(self) -> Sequence[str]:
        """Return the names of the files, the newest first.

        Raises:
            BridgeError: if they cannot be listed.
        """
        found: list[tuple[int, str]] = []
        params: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            try:
                page = await self._client().get_json(f"{_DIRECTORIES}{quote(self._folder)}", params=params)
            except BridgeError as error:
                if error.status == _NOT_FOUND:
                    break
                raise self._explained(error) from error
            entries = page.get("contents") if isinstance(page, dict) else None
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and not entry.get("is_directory") and isinstance(entry.get("name"), str):
                    modified = entry.get("last_modified")
                    found.append((modified if isinstance(modified, int) else 0, entry["name"]))
            token = page.get("next_page_token") if isinstance(page, dict) else None
            if not isinstance(token, str) or not token:
                break
            params = {"page_token": token}
        return [name for _, name in sorted(found, reverse=True)]

    async def _put(self, name: str, data: bytes) -> None:
        try:
            await self._client().transfer("PUT", self._path(name), content=data, params={"overwrite": "false"})
        except BridgeError as error:
            # It was there, or the request was sent twice.
            if error.status != _EXISTS:
                raise

    def _path(self, name: str) -> str:
        return f"{_FILES}{quote(self._folder)}/{quote(name, safe='')}"

    def _explained(self, error: BridgeError) -> BridgeError:
        """Return an error of the Files API with what it means for pictures."""
        volume = ".".join(self._folder.split("/")[2:5])
        if error.status in (401, 403):
            hint = f"Ask for READ VOLUME and WRITE VOLUME on {volume}, with USE CATALOG and USE SCHEMA above it"
            hint += "; on Databricks Apps the app also needs the scope files.files."
        elif error.status == _NOT_FOUND:
            hint = f"Check that the volume {volume} exists: RESPONSES_MCP_SERVICE_PICTURES names it."
        elif error.code is ErrorCode.TOO_LARGE:
            hint = "Ask for a smaller picture."
        else:
            return error
        return BridgeError(error.code, error.message, hint, retryable=error.retryable, status=error.status)
