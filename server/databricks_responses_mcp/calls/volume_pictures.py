"""The pictures of a user of a service, in a folder of a Unity Catalog volume."""

from collections.abc import Sequence

import anyio.to_thread

from databricks_responses_mcp.media.formats import DRAWN_SUFFIXES
from databricks_responses_mcp.media.gallery import MAX_BYTES, is_generated_name, no_such_picture, picture_to_show
from databricks_responses_mcp.media.pictures import PreparedPicture
from databricks_responses_mcp.workspace.volume_files import VolumeFiles


class VolumePictures:
    """Pictures in a folder of a Unity Catalog volume.

    Args:
        files: the folder.
    """

    def __init__(self, files: VolumeFiles) -> None:
        self._files = files

    async def save(self, picture: PreparedPicture) -> None:
        """Write a picture under the name that it has been given.

        Raises:
            BridgeError: with the reason, if that cannot be done.
        """
        await self._files.write(picture.name, bytes(picture.data))

    async def read(self, name: str) -> tuple[bytes, str]:
        """See `SavedPictures.read`."""
        # Nothing else has been written, so nothing else is asked for: no name can lead out of the folder.
        if not is_generated_name(name):
            raise no_such_picture(name)
        data = await self._files.read(name, most_bytes=MAX_BYTES)
        if data is None:
            raise no_such_picture(name)
        return await anyio.to_thread.run_sync(picture_to_show, data, name)

    async def names(self) -> Sequence[str]:
        """See `SavedPictures.names`."""
        return [name for name in await self._files.names() if name.endswith(DRAWN_SUFFIXES) and is_generated_name(name)]
