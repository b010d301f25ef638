"""The pictures of one user: saved pictures in a directory or volume, and unsaved pictures in memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.gallery import is_picture_uri, name_in_uri, no_such_picture

if TYPE_CHECKING:
    from databricks_responses_mcp.calls.state import App
    from databricks_responses_mcp.calls.volume_pictures import VolumePictures


class SavedPictures(Protocol):
    """A place where pictures are stored by name."""

    async def read(self, name: str) -> tuple[bytes, str]:
        """Return the bytes and the MIME type of a picture.

        Raises:
            BridgeError: ``not_found``, among others.
        """
        ...

    async def names(self) -> Sequence[str]:
        """Return the names of pictures, the newest first.

        Raises:
            BridgeError: if they cannot be listed.
        """
        ...


class Pictures:
    """All pictures of one user.

    Args:
        app: has the pictures that could not be saved, and those in a directory of this machine.
        volume: the pictures in a volume, if they are stored there in place of that directory.
    """

    def __init__(self, app: "App", volume: "VolumePictures | None") -> None:
        self._app = app
        self.volume = volume

    async def read(self, name: str) -> bytes:
        """Return the bytes of a picture, by the name in its URI.

        Raises:
            BridgeError: ``not_found``, ``invalid_argument``, ``permission_denied`` or ``too_large``; in a volume also
                what the workspace says.
        """
        if (unsaved := self._app.unsaved.get(name)) is not None:
            return unsaved
        saved: SavedPictures = self._app.gallery if self.volume is None else self.volume
        try:
            data, _ = await saved.read(name)
        except BridgeError as error:
            # A name that cannot be one, and one that leads elsewhere, are no more than unknown to other users.
            if self._app.files is not None and error.code is ErrorCode.INVALID_ARGUMENT:
                raise no_such_picture(name) from error
            raise
        return data

    async def names(self) -> Sequence[str]:
        """Return the names of saved pictures, the newest first.

        Raises:
            BridgeError: if they cannot be listed.
        """
        saved: SavedPictures = self._app.gallery if self.volume is None else self.volume
        return await saved.names()

    async def read_uri(self, uri: str) -> bytes | None:
        """Return the bytes of the picture with that URI; None if it cannot be read."""
        if not is_picture_uri(uri):
            return None
        try:
            return await self.read(name_in_uri(uri))
        except BridgeError:
            return None
