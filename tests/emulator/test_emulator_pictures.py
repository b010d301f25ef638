"""Pictures: real files of the size, format and looks that were asked for."""

import base64
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from databricks_responses_mcp.emulator.pictures import Drawing, draw

pytestmark = pytest.mark.anyio


def opened(data: bytes) -> Image.Image:
    """The picture, decoded."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("size", ["1024x1024", "1536x1024", "16x48"])
@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
async def test_a_picture_has_the_size_and_format_asked_for(size: str, form: str) -> None:
    drawn = await draw(Drawing("A fox", size=size, output_format=form, quality="low"))
    image = opened(drawn.data)
    assert (image.format, f"{image.width}x{image.height}", drawn.size) == (form.upper(), size, size)


async def test_the_same_prompt_draws_the_same_and_another_one_another_picture() -> None:
    fox, again, owl = [(await draw(Drawing(prompt, size="96x96"))).data for prompt in ("A fox", "A fox", "An owl")]
    assert fox == again
    assert fox != owl


async def test_a_transparent_background_is_one_and_an_opaque_one_is_not() -> None:
    open_ground = opened((await draw(Drawing("A fox", size="96x96", background="transparent"))).data)
    closed = opened((await draw(Drawing("A fox", size="96x96"))).data)
    assert open_ground.getchannel("A").getextrema()[0] == 0
    assert closed.mode == "RGB"


async def test_stronger_compression_makes_a_smaller_file() -> None:
    sizes = [
        len((await draw(Drawing("A fox", size="256x256", output_format="webp", output_compression=level))).data)
        for level in (5, 100)
    ]
    assert sizes[0] < sizes[1]


async def test_an_edit_keeps_what_the_mask_protects() -> None:
    red = encoded(Image.new("RGB", (64, 64), (255, 0, 0)))
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (32, 0, 64, 64))
    edited = opened((await draw(Drawing("Blue", size="auto", sources=(red,), mask=encoded(mask)))).data)
    # The last rows hold the signature on pictures of this size and above.
    assert edited.size == (64, 64)
    assert edited.getpixel((4, 4)) == (255, 0, 0)
    assert edited.getpixel((60, 4)) != (255, 0, 0)


async def test_partial_pictures_are_pictures_and_come_closer() -> None:
    drawn = await draw(Drawing("A fox", size="128x128"), partials=3)
    final = opened(drawn.data)
    distances = [difference(opened(partial), final) for partial in drawn.partials]
    assert [opened(partial).size for partial in drawn.partials] == [(128, 128)] * 3
    assert distances == sorted(distances, reverse=True)


async def test_a_picture_in_the_prompt_makes_it_an_edit_and_one_in_the_history_too(post: Any) -> None:
    source = base64.b64encode(encoded(Image.new("RGB", (48, 32), (0, 255, 0)))).decode()
    tools = [{"type": "image_generation"}]
    part = {"type": "input_image", "image_url": f"data:image/png;base64,{source}"}
    shown = (await post(input=[{"role": "user", "content": [part]}], tools=tools)).json()["output"][0]
    earlier = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": source}
    again = (await post(input=[earlier, {"role": "user", "content": "Bluer"}], tools=tools)).json()["output"][0]
    fresh = (await post(tools=[{"type": "image_generation", "size": "64x64", "quality": "low"}])).json()["output"][0]
    looks = [(item["action"], item["size"], item["quality"]) for item in (shown, again, fresh)]
    assert looks == [("edit", "48x32", "medium"), ("edit", "48x32", "medium"), ("generate", "64x64", "low")]
    assert opened(base64.b64decode(shown["result"])).size == (48, 32)


def encoded(image: Image.Image) -> bytes:
    """A PNG file."""
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def difference(one: Image.Image, other: Image.Image) -> int:
    """How far apart two pictures are."""
    pairs = zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True)
    return sum(abs(left - right) for left, right in pairs)
