"""Volumes of Unity Catalog, as the client of the Databricks SDK uses them."""

import io

import anyio.to_thread
import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import AlreadyExists, DatabricksError, NotFound, PermissionDenied

from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.users import User

pytestmark = pytest.mark.anyio
FOLDER = "/Volumes/main/default/pictures/team"


def files_of(emulator: RunningEmulator, token: str) -> WorkspaceClient:
    return WorkspaceClient(config=Config(host=emulator.host, token=token, retry_timeout_seconds=1))


async def test_the_sdk_writes_reads_lists_and_deletes_files(emulator: RunningEmulator) -> None:
    def use() -> dict[str, object]:
        files = files_of(emulator, emulator.token).files
        files.create_directory(f"{FOLDER}/deep")
        files.create_directory(f"{FOLDER}/deep")
        files.upload(f"{FOLDER}/a ü%.png", io.BytesIO(b"first"))
        with pytest.raises(AlreadyExists):
            files.upload(f"{FOLDER}/a ü%.png", io.BytesIO(b"second"), overwrite=False)
        files.upload(f"{FOLDER}/a ü%.png", io.BytesIO(b"third"), overwrite=True)
        contents = files.download(f"{FOLDER}/a ü%.png").contents
        assert contents is not None
        found = {
            "read": contents.read(),
            "size": files.get_metadata(f"{FOLDER}/a ü%.png").content_length,
            "listed": [(entry.path, entry.is_directory) for entry in files.list_directory_contents(FOLDER)],
        }
        with pytest.raises(DatabricksError, match="not empty"):
            files.delete_directory(FOLDER)
        files.delete(f"{FOLDER}/a ü%.png")
        files.delete_directory(f"{FOLDER}/deep")
        files.delete_directory(FOLDER)
        with pytest.raises(NotFound):
            files.get_directory_metadata(FOLDER)
        return found

    assert await anyio.to_thread.run_sync(use) == {
        "read": b"third",
        "size": 5,
        "listed": [(f"{FOLDER}/deep", True), (f"{FOLDER}/a ü%.png", False)],
    }


async def test_what_a_volume_refuses_has_the_status_that_the_sdk_knows(emulator: RunningEmulator) -> None:
    emulator.state.users.add(User("guest", unreadable_volumes={"main.default.pictures"}), "guests-token")
    emulator.state.volumes["main.default.pictures"].largest_file = 3

    def use() -> None:
        files = files_of(emulator, emulator.token).files
        with pytest.raises(NotFound):
            files.get_metadata(f"{FOLDER}/none.png")
        with pytest.raises(NotFound):
            files.download("/Volumes/main/default/none/a.png")
        with pytest.raises(DatabricksError, match="larger"):
            files.upload("/Volumes/main/default/pictures/a.png", io.BytesIO(b"four"))
        with pytest.raises(PermissionDenied):
            files_of(emulator, "guests-token").files.create_directory(FOLDER)

    await anyio.to_thread.run_sync(use)


async def test_a_file_needs_its_directory_unless_the_volume_creates_it(emulator: RunningEmulator) -> None:
    volume = emulator.state.volumes["main.default.pictures"]
    headers = {"Authorization": f"Bearer {emulator.token}"}
    address = f"{emulator.host}/api/2.0/fs/files{FOLDER}/a.png"
    async with httpx.AsyncClient(headers=headers) as client:
        refused = await client.put(address, content=b"a")
        volume.needs_directories = False
        accepted = await client.put(address, content=b"a")
        outside = await client.get(f"{emulator.host}/api/2.0/fs/files/Volumes/main/default/pictures/..%2F..%2Fa")
    assert (refused.status_code, refused.json()["error_code"]) == (404, "NOT_FOUND")
    assert accepted.status_code == 204
    assert volume.files == {"team/a.png": b"a"}
    assert outside.status_code == 400
