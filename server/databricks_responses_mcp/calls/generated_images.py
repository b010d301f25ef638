"""Generated images: saved to disk, added to the result, and not lost once they were paid for."""

import ctypes
import hashlib
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp.types import ContentBlock, ImageContent, ResourceLink

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.calls.inputs import allowed_paths, base_of_paths, require_local_files
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.media.folders import make_private_folder
from databricks_responses_mcp.media.formats import SVG, dimensions, sniff
from databricks_responses_mcp.media.gallery import SCHEME
from databricks_responses_mcp.media.local_files import resolve
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.pictures import (
    PreparedPicture,
    decode_base64,
    names_a_picture,
    prepare_picture,
    save_picture,
)
from databricks_responses_mcp.media.svg import SvgError, clean_svg
from databricks_responses_mcp.media.svg_picture import can_render_svg, pixels_of
from databricks_responses_mcp.media.thumbnails import Thumbnail, make_thumbnail
from databricks_responses_mcp.media.write_policy import WritePolicy
from databricks_responses_mcp.responses.accumulator import Item, picture_base64
from databricks_responses_mcp.responses.payloads import Payload
from databricks_responses_mcp.responses.sanitize import sanitize_text

logger = logging.getLogger(__name__)

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1 << 20
_VOLUME_SECONDS = 60.0
_NO_BASE64 = "The model sent a picture that is not valid base64."
_NO_RENDERER = (
    "An SVG has a thumbnail only with the optional renderer: `pip install databricks-responses-mcp[svg]`. "
    "The image itself is complete."
)


@dataclass(slots=True)
class Taken:
    """One image that has been saved, or is in memory because it could not be.

    Attributes:
        structured: its fields in the result.
        link: the resource with the whole image.
        source: the input of its thumbnail; None if there is none to make, or it has been made.
        problem: a note for the caller.
        thumbnail: shown inline.
        is_saved: whether it is kept elsewhere than in memory.
    """

    structured: dict[str, Any]
    link: ResourceLink
    source: bytes | Path | None = None
    problem: str = ""
    thumbnail: ImageContent | None = None
    is_saved: bool = True


class GeneratedImages:
    """The images of one call. Saves each as it arrives.

    Args:
        app: has the settings and the gallery.
        prompt: determines the names of the files.
        save_to: a folder or a file name, for which `prepare` must be awaited; None is the configured folder.
        count: how many images share the result's inline budget.
        is_free: whether a person named ``save_to``: then it may be anywhere.
    """

    def __init__(
        self, app: App, prompt: str, *, save_to: str | None = None, count: int = 1, is_free: bool = False
    ) -> None:
        image_dir = app.bridge.settings.image_dir
        self._app = app
        self._prompt = prompt
        self._save_to = save_to
        self._target = image_dir if save_to is None or not is_free else Path(save_to)
        self._policy = None if is_free else WritePolicy(AllowedPaths([image_dir], secrets=True))
        self._budget = app.bridge.settings.inline_image_bytes // count
        self.taken: list[Taken] = []

    async def prepare(self) -> None:
        """Determine where images are saved, before anything is paid for.

        Raises:
            BridgeError: ``permission_denied`` if images must not be saved there; ``invalid_argument`` for an invalid
                path.
        """
        if self._save_to is None or self._policy is None:
            return
        require_local_files(self._app, "`save_to`")
        if (access := self._app.bridge.policy) is not None:
            access.check_saving()
        image_dir = self._app.bridge.settings.image_dir
        allowed = await allowed_paths(self._app)
        base = base_of_paths(self._app)
        if base is None:
            policy = WritePolicy(allowed.also(image_dir), configured=(image_dir,))
        else:
            policy = WritePolicy(allowed, configured=(base,))
        self._target = await anyio.to_thread.run_sync(_checked_target, self._save_to, base or image_dir, policy)
        self._policy = policy

    async def __call__(self, item: Item) -> None:
        """Decode, save and shrink one image in a thread; remove its base64 from ``item``."""
        base64 = picture_base64(item)
        if base64 is None:
            return
        # Not before an image has arrived: large prompts and answers are processed faster if memory is not returned.
        _return_large_blocks()
        holder: list[Payload | str] = [base64]
        item["result"] = base64 = None
        # Shielded: a deadline that expires now must not lose a paid image.
        with anyio.CancelScope(shield=True):
            taken = await self._taken(holder, item)
        item["picture"] = taken.structured.get("path") or taken.structured.get("uri")
        self.taken.append(taken)
        # Not shielded, and one at a time in the whole server: a small file may decode to hundreds of megabytes.
        source, is_svg = taken.source, taken.structured.get("mime_type") == SVG.mime_type
        if is_svg and source is not None:
            source = await pixels_of(source, self._app.thumbnails) if self._budget else None
        thumbnail = await anyio.to_thread.run_sync(_thumbnail, source, self._budget, limiter=self._app.thumbnails)
        if thumbnail is None and self._budget and is_svg and not can_render_svg():
            taken.problem = f"{taken.problem} {_NO_RENDERER}".strip()
        taken.source = None
        taken.thumbnail = None if thumbnail is None else _image(thumbnail)

    def blocks(self) -> Sequence[ContentBlock]:
        """Return thumbnails and links, in order."""
        blocks: list[ContentBlock] = []
        for taken in self.taken:
            if taken.thumbnail is not None:
                blocks.append(taken.thumbnail)
            blocks.append(taken.link)
        return blocks

    def extend(self, structured: dict[str, Any]) -> dict[str, Any]:
        """Return ``structured`` with the images in it."""
        if not self.taken:
            return structured
        notes = [*structured.get("notes", []), *(taken.problem for taken in self.taken if taken.problem)]
        extended = {**structured, "images": [taken.structured for taken in self.taken]}
        return {**extended, "notes": notes} if notes else extended

    def attach(self, error: BridgeError) -> BridgeError:
        """Return ``error`` with the images in what was received before it."""
        return replace(error, partial=self.extend(error.partial)) if self.taken else error

    def preamble(self) -> str:
        """Return the text that says where the images are."""
        return "\n".join(_words(taken) for taken in self.taken)

    async def _taken(self, holder: list[Payload | str], item: Item) -> Taken:
        """Save one image where the user's are; its base64 is removed from ``holder``."""
        extra = (
            {"revised_prompt": sanitize_text(revised)} if isinstance(revised := item.get("revised_prompt"), str) else {}
        )
        volume = self._app.pictures.volume if self._save_to is None else None
        if volume is None:
            return await anyio.to_thread.run_sync(self._take, holder, extra)
        found = await anyio.to_thread.run_sync(self._prepared, holder, extra)
        if isinstance(found, Taken):
            return found
        try:
            with anyio.fail_after(_VOLUME_SECONDS):
                await volume.save(found)
        except (BridgeError, TimeoutError) as error:
            took = f"the volume did not take it within {_VOLUME_SECONDS:.0f} s."
            reason = error.text(mcp_words) if isinstance(error, BridgeError) else took
            return await anyio.to_thread.run_sync(self._unsaved, bytes(found.data), reason, extra)
        structured = {
            "uri": f"{SCHEME}://{found.name}",
            **_shape(found.mime_type, (found.width, found.height), len(found.data), found.sha256),
            **extra,
        }
        return Taken(structured, _link(structured, found.name), bytes(found.data), _removal_note(found.removed))

    def _prepared(self, holder: list[Payload | str], extra: dict[str, Any]) -> PreparedPicture | Taken:
        """Decode and check an image that is not saved on this machine; blocks."""
        data = self._data_of(holder, extra)
        if isinstance(data, Taken):
            return data
        try:
            return prepare_picture(data, self._prompt)
        except BridgeError as error:
            return self._unsaved(data, str(error), extra)

    def _data_of(self, holder: list[Payload | str], extra: dict[str, Any]) -> bytes | Taken:
        source = holder.pop()
        data = _decoded(source)
        if data is None:
            raw = bytes(source.base64) if isinstance(source, Payload) else source.encode("utf-8", "replace")
            return self._unreadable(raw, extra)
        return data

    def _take(self, holder: list[Payload | str], extra: dict[str, Any]) -> Taken:
        """Decode and save an image on this machine; blocks."""
        data = self._data_of(holder, extra)
        if isinstance(data, Taken):
            return data
        files = self._app.files
        try:
            if files is not None:
                make_private_folder(self._app.bridge.settings.image_dir)
            saved = save_picture(data, self._target, self._prompt, policy=self._policy, journal=self._app.write_journal)
        except BridgeError as error:
            return self._unsaved(data, str(error), extra)
        except Exception as error:
            logger.exception("saving a picture failed")
            return self._unsaved(data, f"{type(error).__name__}.", extra)
        # A path of the service's machine would mean nothing to its users.
        place = {"path": str(saved.path)} if files is None or self._save_to is not None else {}
        structured = {
            **place,
            "uri": self._app.gallery.uri_for(saved.path),
            **_shape(saved.mime_type, (saved.width, saved.height), saved.bytes, saved.sha256),
            **extra,
        }
        problems = []
        if saved.requested_path:
            problems.append(f"{saved.requested_path} was requested; the image is {saved.path}.")
        if saved.removed:
            problems.append(_removal_note(saved.removed))
        return Taken(structured, _link(structured, saved.path.name), saved.path, " ".join(problems))

    def _unsaved(self, data: bytes, reason: str, extra: dict[str, Any]) -> Taken:
        image_format = sniff(data)
        if image_format is SVG:
            try:
                data = clean_svg(data).data
            except SvgError:
                return self._unreadable(data, extra, reason)
        digest = hashlib.sha256(data).hexdigest()
        name = f"unsaved-{digest[:10]}{image_format.extension if image_format else '.bin'}"
        mime_type = image_format.mime_type if image_format else "application/octet-stream"
        shape = _shape(mime_type, dimensions(data) or (None, None), len(data), digest)
        structured = {"uri": self._app.unsaved.keep(name, data), **shape, **extra}
        kept = "while this server runs" if self._app.files is None else "on this replica, for about an hour"
        problem = (
            f"The image was generated and paid for, but could not be saved: {reason} "
            f"It stays readable as {structured['uri']} {kept}."
        )
        return Taken(structured, _link(structured, name), data, problem, is_saved=False)

    def _unreadable(self, raw: bytes, extra: dict[str, Any], reason: str = _NO_BASE64) -> Taken:
        name = f"unreadable-{hashlib.sha256(raw).hexdigest()[:10]}.txt"
        structured = {"uri": self._app.unsaved.keep(name, raw), "mime_type": "text/plain", "bytes": len(raw), **extra}
        problem = f"{reason} Its data is stored as text: {structured['uri']}."
        return Taken(structured, _link(structured, name), None, problem, is_saved=False)


def _removal_note(removed: Sequence[str]) -> str:
    return f"Removed from the SVG, because it does more than draw: {', '.join(removed)}." if removed else ""


async def blocks_of_saved_images(app: App, images: Iterable[Mapping[str, Any]]) -> list[ContentBlock]:
    """Return thumbnails and links of images that an earlier call saved, if their files still exist."""
    budget = app.bridge.settings.inline_image_bytes

    def make(structured: Mapping[str, Any], pixels: bytes | None) -> list[ContentBlock]:
        path = Path(str(structured["path"]))
        if not path.is_file():
            return []
        return _blocks(_thumbnail(path if pixels is None else pixels, budget), structured, path.name)

    blocks: list[ContentBlock] = []
    for structured in images:
        if app.files is not None:
            blocks += await _blocks_by_uri(app, structured, budget)
        elif "path" in structured:
            is_svg = bool(budget) and structured.get("mime_type") == SVG.mime_type
            pixels = await pixels_of(Path(str(structured["path"])), app.thumbnails) if is_svg else None
            blocks += await anyio.to_thread.run_sync(make, structured, pixels, limiter=app.thumbnails)
    return blocks


async def _blocks_by_uri(app: App, structured: Mapping[str, Any], budget: int) -> list[ContentBlock]:
    """Return the thumbnail and the link of an image that is not a file of the caller's machine, if it is there."""
    uri = str(structured.get("uri", ""))
    data = await app.pictures.read_uri(uri)
    if data is None:
        return []
    is_svg = structured.get("mime_type") == SVG.mime_type
    pixels = (await pixels_of(data, app.thumbnails) if budget else None) if is_svg else data

    def make() -> list[ContentBlock]:
        return _blocks(_thumbnail(pixels, budget), structured, uri.partition("://")[2])

    return await anyio.to_thread.run_sync(make, limiter=app.thumbnails)


def _thumbnail(source: bytes | Path | None, budget: int) -> Thumbnail | None:
    """Return the thumbnail of an image; None if there can be none. Blocks."""
    if source is None:
        return None
    try:
        return make_thumbnail(source, budget_bytes=budget)
    except Exception:  # an image without a thumbnail is better than none
        logger.exception("shrinking a picture failed")
        return None


def _blocks(thumbnail: Thumbnail | None, structured: Mapping[str, Any], name: str) -> list[ContentBlock]:
    link = _link(dict(structured), name)
    return [link] if thumbnail is None else [_image(thumbnail), link]


def _checked_target(save_to: str, image_dir: Path, policy: WritePolicy) -> Path:
    """Return the folder or file for ``save_to``.

    Raises:
        BridgeError: ``permission_denied`` if images must not be saved there; ``invalid_argument`` for an invalid path.
    """
    try:
        here: Path | None = Path.cwd()
    except OSError:
        here = None
    # Hosts without a project start servers in the root or the home directory: a relative path never means those.
    if here is None or here in (Path(here.anchor), Path.home()) or not policy.allowed.has(here):
        here = image_dir
    path = resolve(save_to, here)
    policy.check_new(path if names_a_picture(path) else path / "picture.png", save_to)
    return path


def _decoded(source: Payload | str) -> bytes | None:
    try:
        # The usual case first, directly from the received bytes; then any variant of base64.
        return source.decode() if isinstance(source, Payload) else decode_base64(source)
    except ValueError:
        with suppress(BridgeError):
            return decode_base64(source.base64) if isinstance(source, Payload) else None
    except BridgeError:
        return None
    return None


def _shape(mime_type: str, size: tuple[int | None, int | None], count: int, digest: str) -> dict[str, Any]:
    structured = {"mime_type": mime_type, "width": size[0], "height": size[1], "bytes": count, "sha256": digest}
    return {key: value for key, value in structured.items() if value is not None}


def _image(thumbnail: Thumbnail) -> ImageContent:
    return ImageContent(data=thumbnail.base64, mime_type=thumbnail.mime_type)


def _link(structured: dict[str, Any], name: str) -> ResourceLink:
    return ResourceLink(
        name=name,
        uri=structured["uri"],
        mime_type=structured.get("mime_type"),
        size=structured.get("bytes"),
        description="The whole image from the model.",
    )


def _words(taken: Taken) -> str:
    structured, uri = taken.structured, taken.structured["uri"]
    if "path" in structured:
        where = f"saved to {structured['path']}"
    else:
        where = f"{'saved' if taken.is_saved else 'not saved'}; readable as {uri}"
    shape = f"{structured['width']}x{structured['height']} " if "width" in structured else ""
    words = f"Picture ({shape}{structured.get('mime_type', 'unknown format')}, {structured['bytes']} bytes) {where}"
    revised = structured.get("revised_prompt")
    return f"{words}\nRevised prompt: {revised}" if revised else words


@cache
def _return_large_blocks() -> None:
    """Let the C library return every block of a megabyte and more to the system when it is freed.

    glibc raises its own threshold to the size of the large blocks that have been freed, and keeps later ones. Does
    nothing elsewhere.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
