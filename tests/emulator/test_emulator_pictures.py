"""Pictures: real files of the size, format and looks that were asked for."""

import base64
import random
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from databricks_workspace_emulator.drawing.scene import Scene, read_scene
from databricks_workspace_emulator.pictures import Drawing, draw

pytestmark = pytest.mark.anyio

BOAT = "boat (178, 62, 56)"


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


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("A red fox in the snow", "fox (206, 64, 48), snow, snow"),
        ("three BIRDS over the sea at night", "bird (70, 118, 178) x3, meadow, night, water"),
        (
            "a black cat, a house and 99999 boats",
            "boat (178, 62, 56), cat (62, 58, 70), house (196, 120, 86), meadow, water",
        ),
        ("northern lights", "meadow, night, aurora"),
        ("a foggy city", "city, fog"),
        ("Umsatz nach Monat \U0001f600 \ud800 \x00", "meadow"),
    ],
)
def test_a_scene_shows_what_the_prompt_names(prompt: str, shown: str) -> None:
    scene = read_scene(prompt, random.Random(1))
    assert described(scene, prompt) == shown


async def test_a_prompt_of_any_kind_is_drawn() -> None:
    prompts = ["", " ", "\x00\x1b[2J", "\ud83d", "fox " * 50_000, "9" * 5000 + " foxes", "狐", "a" * 100_000]
    sizes = {opened((await draw(Drawing(prompt, size="128x128", quality="low"))).data).size for prompt in prompts}
    assert sizes == {(128, 128)}


async def test_a_named_subject_is_seen_against_nothing() -> None:
    named, unnamed = [
        opened((await draw(Drawing(prompt, size="96x96", background="transparent"))).data).getchannel("A")
        for prompt in ("a fox", "something")
    ]
    assert [channel.getextrema() for channel in (named, unnamed)] == [(0, 255), (0, 255)]


async def test_an_edit_without_a_mask_keeps_the_picture_and_changes_its_light() -> None:
    source = Image.new("RGB", (96, 96), (200, 200, 200))
    source.paste((20, 20, 20), (0, 0, 48, 96))
    night = opened((await draw(Drawing("the same at night", sources=(encoded(source),)))).data).convert("L")
    left, right = night.crop((4, 4, 40, 80)), night.crop((56, 4, 92, 80))
    darkest, brightest = (average(part) for part in (left, right))
    assert darkest < brightest < 150


def described(scene: Scene, prompt: str) -> str:
    """What of a scene the prompt decided, in words."""
    counts = {figure: scene.figures.count(figure) for figure in scene.figures}
    figures = [
        f"{figure.subject.draw.__name__.removeprefix('draw_')} {figure.colour}{f' x{count}' if count > 1 else ''}"
        for figure, count in counts.items()
    ]
    lot = read_scene("", random.Random(1))
    facts = [scene.land, *([scene.hour] if scene.hour != lot.hour else [])]
    facts += [name for name in ("water", "aurora") if getattr(scene, name)]
    return ", ".join([*sorted(figures), *facts, *([scene.weather] if scene.weather != "clear" else [])])


def average(picture: Image.Image) -> float:
    """The mean level of a grey picture."""
    data = picture.tobytes()
    return sum(data) / len(data)


def encoded(image: Image.Image) -> bytes:
    """A PNG file."""
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def difference(one: Image.Image, other: Image.Image) -> int:
    """How far apart two pictures are."""
    pairs = zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True)
    return sum(abs(left - right) for left, right in pairs)
