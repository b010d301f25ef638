"""Pictures of the users of a service: in a folder each, or in a volume, and for their owner alone."""

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from mcp.shared.exceptions import MCPError
from mcp.types import BlobResourceContents, ImageContent, ResourceTemplateReference

from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.volumes import Volume
from harness import Host
from harness.team import add_user, team

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
VOLUME = {"RESPONSES_MCP_SERVICE_PICTURES": "/Volumes/main/default/pictures/team"}
PLACES: dict[str, dict[str, str]] = {"folder": {}, "volume": VOLUME}


async def bytes_of(host: Host, uri: str) -> bytes:
    (content,) = (await host.client.read_resource(uri)).contents
    assert isinstance(content, BlobResourceContents)
    return base64.b64decode(content.blob)


async def completed(host: Host, typed: str = "") -> list[str]:
    reference = ResourceTemplateReference(uri="image://{name}")
    return (await host.client.complete(reference, {"name": "name", "value": typed})).completion.values


def volume_of(emulator: RunningEmulator) -> Volume:
    return emulator.state.volumes["main.default.pictures"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_picture_is_read_edited_and_completed_by_its_owner_on_every_replica_and_by_nobody_else(
    emulator: RunningEmulator, tmp_path: Path, place: str
) -> None:
    ann, ben = add_user(emulator, "ann"), add_user(emulator, "ben")
    async with (
        team(emulator, tmp_path, service=PLACES[place]) as service,
        service.user("ann", workspace_token=ann) as host,
    ):
        blocks, drawn, failed = await host.call("generate_image", prompt="A red fox")
        assert not failed, blocks
        (picture,) = drawn["images"]
        assert "path" not in picture
        assert any(isinstance(block, ImageContent) for block in blocks)
        _, edited, failed = await host.call("generate_image", prompt="Now blue", images=[picture["uri"]])
        assert not failed
    async with team(emulator, tmp_path, service=PLACES[place]) as replica:
        async with replica.user("ann", workspace_token=ann) as host:
            assert len(await bytes_of(host, picture["uri"])) == picture["bytes"]
            names = {image["uri"].partition("://")[2] for image in (picture, *edited["images"])}
            assert set(await completed(host)) == names
            _, _, failed = await host.call(
                "generate_image", prompt="And green", conversation_id=drawn["conversation_id"]
            )
            assert not failed
        async with replica.user("ben", workspace_token=ben) as host:
            assert await completed(host) == []
            for uri in (picture["uri"], "image://never-was-0123456789.png"):
                with pytest.raises(MCPError) as refused:
                    await host.client.read_resource(uri)
                name = uri.partition("://")[2]
                assert str(refused.value).replace(name, "NAME") == snapshot(
                    "There is no picture “NAME” here. It may have been moved or deleted; pictures saved outside "
                    "RESPONSES_MCP_IMAGE_DIR are known by their URI only until the server restarts."
                )
            _, stolen, failed = await host.call("generate_image", prompt="Now blue", images=[picture["uri"]])
            assert (failed, stolen["error"]["code"]) == (True, "not_found")
    asked = emulator.state.request_log.to("/serving-endpoints/responses")
    # The picture of the conversation was sent again, so that the model can change it.
    sent = [item for item in asked[-1].body["input"] if item.get("type") == "image_generation_call"]
    assert [bool(item.get("result")) for item in sent] == [True]


async def test_a_users_folder_is_named_by_a_digest_and_entered_by_the_service_alone(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    ann = add_user(emulator, "ann")
    async with team(emulator, tmp_path) as service, service.user("ann", workspace_token=ann) as host:
        await host.call("generate_image", prompt="A red fox")
    (folder,) = (tmp_path / "pictures").iterdir()
    assert (len(folder.name), "ann" in folder.name, stat.S_IMODE(folder.stat().st_mode)) == (32, False, 0o700)


async def test_in_a_volume_each_user_has_a_folder_written_with_the_users_token(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    tokens = {name: add_user(emulator, name) for name in ("ann", "ben")}
    async with team(emulator, tmp_path, service=VOLUME) as service:
        for name, token in tokens.items():
            async with service.user(name, workspace_token=token) as host:
                _, _, failed = await host.call("generate_image", prompt="A red fox")
                assert not failed
                # The same picture again is the same file.
                await host.call("generate_image", prompt="A red fox")
    files = volume_of(emulator).files
    assert len({path.split("/")[1] for path in files}) == 2
    assert all(path.startswith("team/") and path.endswith(".png") for path in files)
    writers = {e.user for e in emulator.state.request_log.exchanges if e.method == "PUT"}
    assert writers == {"ann", "ben"}
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("no permission", "Ask for READ VOLUME and WRITE VOLUME on main.default.pictures"),
        ("no volume", "RESPONSES_MCP_SERVICE_PICTURES names it"),
        ("too large", "Ask for a smaller picture"),
    ],
)
async def test_a_picture_that_cannot_be_saved_in_the_volume_is_kept_and_says_why(
    emulator: RunningEmulator, tmp_path: Path, trouble: str, said: str
) -> None:
    rights: dict[str, Any] = {}
    if trouble == "no permission":
        rights = {"unreadable_volumes": {"main.default.pictures"}}
    elif trouble == "no volume":
        del emulator.state.volumes["main.default.pictures"]
    else:
        volume_of(emulator).largest_file = 10
    ann = add_user(emulator, "ann", **rights)
    async with (
        team(emulator, tmp_path, service=VOLUME) as service,
        service.user("ann", workspace_token=ann) as host,
    ):
        _, drawn, failed = await host.call("generate_image", prompt="A red fox")
        assert not failed
        (picture,) = drawn["images"]
        assert len(await bytes_of(host, picture["uri"])) == picture["bytes"]
    (note,) = drawn["notes"]
    assert note.startswith("The image was generated and paid for, but could not be saved: ")
    assert said in note
    assert note.endswith(f"It stays readable as {picture['uri']} on this replica, for about an hour.")


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../other/fox.png",
        "..%2Fother%2Ffox.png",
        "%2e%2e%2ffox.png",
        "a%00.png",
        "FOX.PNG",
        "fóx.png",
        "fox.png%3Foverwrite=true",
        "a" * 300 + ".png",
        "fox.png ",
    ],
)
async def test_no_name_leads_out_of_a_users_folder(emulator: RunningEmulator, tmp_path: Path, name: str) -> None:
    ann = add_user(emulator, "ann")
    volume_of(emulator).files |= {"team/other/fox.png": b"x", "fox.png": b"x"}
    async with (
        team(emulator, tmp_path, service=VOLUME) as service,
        service.user("ann", workspace_token=ann) as host,
    ):
        with pytest.raises(MCPError):
            await host.client.read_resource(f"image://{name}")
    assert not [e for e in emulator.state.request_log.exchanges if "/fs/" in e.path]


async def test_a_volume_that_creates_directories_with_files_needs_no_second_request(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    volume_of(emulator).needs_directories = False
    ann = add_user(emulator, "ann")
    async with (
        team(emulator, tmp_path, service=VOLUME) as service,
        service.user("ann", workspace_token=ann) as host,
    ):
        await host.call("generate_image", prompt="A red fox")
    assert [e.method for e in emulator.state.request_log.exchanges if "/fs/" in e.path] == ["PUT"]
