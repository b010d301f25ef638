"""``image``: the tool ``generate_image`` as a command."""

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from databricks_responses_mcp.cli.advice import terminal_words
from databricks_responses_mcp.cli.errors import EXIT_CODES, failing_as_json, tell
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import (
    DRAWING,
    SessionOptions,
    complete_files,
    images_option,
    json_object,
    json_option,
    session_options,
)
from databricks_responses_mcp.cli.phases import Phases, phases
from databricks_responses_mcp.cli.printing import note, sign, write_json, write_out
from databricks_responses_mcp.cli.prompt import read_prompt
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.session import forget_what_is_old, open_session, settings_for_terminal
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.calls.generated_images import GeneratedImages
    from databricks_responses_mcp.calls.state import UnsavedPictures
    from databricks_responses_mcp.responses.accumulator import Item
    from databricks_responses_mcp.turns.image_generation import Drawn

_HELP = """\
Generate images, or edit images. The path of each saved image goes to stdout, one per line. A preview goes to stderr if
the terminal can show it.

\b
  databricks-responses-mcp image --embedded "a lighthouse in fog"
  databricks-responses-mcp image "a fox" -n 3 --size 1024x1536
  databricks-responses-mcp image "at night" -i day.png --save-to night.png
  databricks-responses-mcp image --conversation ID "the same in winter"
"""


_BY_RULE = "The embedded workspace draws images with fixed rules, not with a model."


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("prompt", required=False)
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    help="Serving endpoint of an OpenAI model. Default: $RESPONSES_MCP_IMAGE_MODEL, or the newest GPT.",
)
@click.option(
    "--conversation", "conversation_id", metavar="ID", help="Continue this conversation; the model sees its images."
)
@click.option("--size", metavar="WxH", help="Such as 1024x1536, or auto. Default: the model's.")
@click.option("--quality", metavar="LEVEL", help="low, medium, high, xhigh, max or auto. Default: the model's.")
@click.option("--background", metavar="KIND", help="transparent, opaque or auto. Default: the model's.")
@click.option("--output-format", metavar="FORMAT", help="png, jpeg, webp, gif or svg. Default: png.")
@click.option("--output-compression", type=click.IntRange(0, 100), metavar="N", help="0 to 100, for jpeg and webp.")
@click.option(
    "-n", "count", type=click.IntRange(1, 10), default=1, metavar="N", help="Number of images, 1 to 10. Default: 1."
)
@images_option("Image to edit")
@click.option(
    "--mask",
    shell_complete=complete_files,
    metavar="PATH|URL",
    help="Mask image; its transparent parts are edited.",
)
@click.option(
    "--save-to",
    shell_complete=complete_files,
    metavar="PATH",
    help="Folder or file to save to. Default: $RESPONSES_MCP_IMAGE_DIR.",
)
@click.option(
    "--extra",
    callback=json_object,
    metavar="JSON",
    help="Other fields of the image_generation tool, as JSON: action, complexity, frame_count, svg, model.",
)
@click.option("--preview/--no-preview", default=True, help="Show the image if the terminal can. Default: --preview.")
@json_option
@session_options(DRAWING, without=("image_model",))
def command(session: SessionOptions, prompt: str | None, as_json: bool, preview: bool, **given: Any) -> int:
    """Generate images once; return the exit code."""
    with failing_as_json(as_json):
        settings = settings_for_terminal(session)
        structured, errors = run_async(partial(_image, settings, session, read_prompt(prompt), **given))
    paths = [picture["path"] for picture in structured.get("images", []) if "path" in picture]
    if as_json:
        write_json(structured)
    elif preview:
        _show(paths)
    if not as_json:
        write_out("".join(f"{path}\n" for path in paths))
    _tell(structured)
    for error in errors:
        tell(error)
    return EXIT_CODES[errors[0].code] if errors else 0


async def _image(
    settings: Settings,
    session: SessionOptions,
    prompt: str,
    *,
    images: Any,
    mask: Any,
    save_to: Any,
    extra: Any,
    **given: Any,
) -> tuple[dict[str, Any], "list[BridgeError]"]:
    """Return the fields of the result, and the errors of the images that failed."""
    # Imported here: importing what the tools need takes a while, and `--help` does not need it.
    from databricks_responses_mcp.calls.generated_images import GeneratedImages
    from databricks_responses_mcp.calls.inputs import image_urls
    from databricks_responses_mcp.calls.state import App
    from databricks_responses_mcp.turns import conversation_queries
    from databricks_responses_mcp.turns.image_generation import Drawing

    # No thumbnails: there is no host to show them. And any file may be named: the caller is a person, not a model.
    settings = settings.model_copy(update={"inline_image_bytes": 0, "allowed_dirs": "*", "allow_secret_files": True})
    # In a terminal a relative path means the current directory.
    target = None if save_to is None else _target(save_to)
    # The engine is not started: images are drawn without it.
    async with open_session(settings, session, announced=_BY_RULE) as bridge:
        app = App(bridge)
        taker = GeneratedImages(app, prompt, save_to=target, count=given["count"], is_free=True)
        references = await image_urls(app, [*images, *([mask] if mask is not None else [])])
        drawing = Drawing(
            prompt=prompt,
            images=references[: len(images)],
            mask=references[-1] if mask is not None else None,
            extra=extra or {},
            **given,
        )
        with phases(bar=True, total=drawing.count) as shown:
            try:
                drawn = await _draw(app, drawing, taker, shown)
            except BridgeError as error:
                partial = await _rescued(app, taker, prompt, error.partial)
                raise error.with_partial(partial) from error
        # Each image that failed is reported as a separate error.
        notes = [said for outcome in drawn.outcomes for said in outcome.notes]
        structured = {**conversation_queries.lasting(bridge, drawn.structured(terminal_words)), "notes": notes}
        if not notes:
            del structured["notes"]
        await forget_what_is_old(bridge)
        return await _rescued(app, taker, prompt, structured), drawn.errors


async def _draw(app: Any, drawing: Any, taker: "GeneratedImages", shown: Phases) -> "Drawn":
    from databricks_responses_mcp.turns.call_context import CallContext
    from databricks_responses_mcp.turns.image_generation import draw

    async def take(item: "Item") -> None:
        await taker(item)
        shown.picture_done()

    return await draw(
        app.bridge, drawing, CallContext.start(app.bridge.settings, "image", reporter=shown.reporter(), take_image=take)
    )


async def _rescued(app: Any, taker: "GeneratedImages", prompt: str, structured: dict[str, Any]) -> dict[str, Any]:
    """Return ``structured`` with the images that could not be saved, which are only in this process's memory."""
    structured = taker.extend(structured)
    if all("path" in picture for picture in structured.get("images", [])):
        return structured
    # Data that is not an image keeps its note, which says so.
    unsaved = (
        taken
        for taken in taker.taken
        if "path" not in taken.structured and taken.structured["mime_type"] != "text/plain"
    )
    outdated = {taken.problem for taken in unsaved}
    structured = {**structured, "notes": [said for said in structured.get("notes", []) if said not in outdated]}
    import anyio.to_thread

    return await anyio.to_thread.run_sync(_save_elsewhere, app.unsaved, prompt, structured)


def _save_elsewhere(unsaved: "UnsavedPictures", prompt: str, structured: dict[str, Any]) -> dict[str, Any]:
    """Save the images that are only in memory to the temporary directory; return ``structured`` with their paths.

    Raises:
        BridgeError: ``internal``, if they cannot be saved there either.
    """
    from databricks_responses_mcp.media.pictures import save_picture

    pictures: list[dict[str, Any]] = []
    notes = list(structured.get("notes", []))
    for picture in structured["images"]:
        if "path" in picture:
            pictures.append(picture)
            continue
        data = unsaved.get(str(picture["uri"]).partition("://")[2])
        assert data is not None
        try:
            saved = save_picture(data, Path(tempfile.gettempdir()), prompt)
        except BridgeError as error:
            raise BridgeError(
                ErrorCode.INTERNAL,
                "The image was generated and paid for, but could be saved neither in its folder nor in the "
                f"temporary directory. {error.message}",
                "Free disk space, or choose another folder with --save-to; then generate it again.",
            ) from error
        pictures.append({**{key: value for key, value in picture.items() if key != "uri"}, "path": str(saved.path)})
        notes.append(f"It could not be saved in its folder, and is in the temporary directory: {saved.path}")
    return {**structured, "images": pictures, "notes": notes}


def _target(save_to: str) -> str:
    try:
        return str(Path(save_to).expanduser().absolute())
    except (RuntimeError, OSError, ValueError) as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, f"--save-to {save_to!r} is not a path: {error}.", "Give a folder or a file."
        ) from error


def _show(paths: list[str]) -> None:
    from databricks_responses_mcp.cli.preview import show

    reasons = {show(Path(path)): None for path in paths}
    for reason in filter(None, reasons):
        note(f"No preview: {reason}.")


def _tell(structured: dict[str, Any]) -> None:
    for picture in structured.get("images", []):
        shape = f"{picture['width']}x{picture['height']} " if "width" in picture else ""
        revised = picture.get("revised_prompt")
        drawn = f"; drawn from: {revised}" if revised else ""
        note(f"{shape}{picture.get('mime_type', '')}, {picture['bytes']} bytes{drawn}")
    for text in (structured.get("text"), *structured.get("notes", [])):
        if text:
            note(str(text))
    usage = structured.get("usage") or {}
    # The output tokens are the cost of an image; the input is the prompt.
    sign({**structured, "usage": {key: usage[key] for key in ("output_tokens",) if key in usage}})
