"""``generate_image`` with a Gemini model, which draws through its own API on the gateway."""

import base64
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect

pytestmark = pytest.mark.anyio
DRAW = "generate_image"
GEMINI = "databricks-gemini-3-1-flash-image"
PATH = "/ai-gateway/gemini/v1beta/models/{}:generateContent"


def asked(emulator: RunningEmulator) -> list[tuple[str, Any]]:
    """Path and body of the requests to models."""
    return [(e.path, e.body) for e in emulator.state.request_log.exchanges if e.method == "POST"]


@pytest.mark.parametrize("model", [GEMINI, "system.ai.gemini-3-1-flash-image"])
async def test_a_gemini_draws_and_goes_on_with_its_picture(
    connect: Connect, emulator: RunningEmulator, model: str
) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(DRAW, prompt="A fox", model=model, size="1344x768", quality="high")
        assert not failed, facts
        _, again, failed = await host.call(DRAW, prompt="At night", conversation_id=facts["conversation_id"])
    assert not failed, again
    (image,) = facts["images"]
    with Image.open(image["path"]) as drawn:
        assert drawn.size == (1360, 768)
    assert [block.type for block in content] == ["text", "image", "text"]
    assert (facts["surface"], facts["usage"]["output_tokens"] > 0) == ("gemini", True)
    assert any("image_generation.quality" in note for note in facts["notes"])
    (path, first), (_, second) = asked(emulator)
    assert path == PATH.format(model)
    assert first["generationConfig"]["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "1K"}
    sent = [part["inlineData"]["data"] for turn in second["contents"] for part in turn["parts"] if "inlineData" in part]
    assert [base64.b64decode(data) for data in sent] == [Path(image["path"]).read_bytes()]


async def test_a_gemini_edits_a_reference_and_answers_in_words(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    async with connect(allowed_dirs=(tmp_path,)) as host:
        _, facts, failed = await host.call(DRAW, prompt="Snow", model=GEMINI, images=[str(tmp_path / "red.png")], n=2)
        assert (failed, len(facts["images"])) == (False, 2)
        _, said, failed = await host.call("ask_databricks_model", prompt="[[say hello]]", model=GEMINI)
    assert (failed, said["text"], said["surface"]) == (False, "hello", "gemini")


async def test_a_mask_is_refused_with_what_to_do_instead(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    Image.new("RGBA", (64, 64)).save(tmp_path / "mask.png")
    mask = str(tmp_path / "mask.png")
    async with connect(allowed_dirs=(tmp_path,)) as host:
        _, facts, failed = await host.call(DRAW, prompt="Snow", model=GEMINI, images=[mask], mask=mask)
    assert (failed, facts["error"]["code"]) == (True, "unsupported_by_model")
    assert "accepts no mask: describe" in facts["error"]["message"]


async def test_without_a_gateway_the_error_says_so(connect: Connect, emulator: RunningEmulator) -> None:
    emulator.state.switches.gateway = False
    async with connect() as host:
        _, facts, failed = await host.call(DRAW, prompt="A fox", model=GEMINI)
    assert failed
    assert facts["error"]["status"] == 501


async def test_a_gemini_that_draws_is_listed_as_one(connect: Connect) -> None:
    async with connect() as host:
        _, facts, _ = await host.call("list_databricks_models", capability="image_generation")
    assert GEMINI in [model["name"] for model in facts["models"]]
