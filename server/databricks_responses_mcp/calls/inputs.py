"""Files and images that a caller names, read as the text, the attachments and the URLs of a request."""

import base64
import logging
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.folders import make_private_folder
from databricks_responses_mcp.media.gallery import is_picture_uri, name_in_uri
from databricks_responses_mcp.media.images_in import load_images
from databricks_responses_mcp.media.input_files import Attachment, FileLimits, read_files
from databricks_responses_mcp.media.path_policy import AllowedPaths, Refusal, default_roots
from databricks_responses_mcp.media.text_files import TextFile, render_files
from databricks_responses_mcp.responses.request import FileInput

logger = logging.getLogger(__name__)

_NO_LOCAL_FILES = Refusal(
    "this server is shared by several people, so nobody uses files of its machine",
    "Give an https URL or a data URL, put the text into the prompt, or name a picture by its image:// URI; edits and "
    "files on your own machine are the host's to make.",
)
_OWN_FOLDER = Refusal(
    "on this shared server only files in your own folder can be used",
    "Name a file by a path relative to your folder, or give an https URL or a data URL.",
)
# Model serving accepts 32 MiB in one request, and base64 needs four bytes for three.
_MAX_TEXT_BYTES = 16_000_000
_MAX_IMAGE_BYTES = 24_000_000
_MAX_DOCUMENT_BYTES = 24_000_000


async def allowed_paths(app: App) -> AllowedPaths:
    """Return where local files may be used.

    As configured, else in the working directory if it is a project. In a service: in the user's folder, if there is
    one; the settings of the machine apply to nobody who calls from elsewhere.
    """
    settings = app.bridge.settings
    if app.files is not None:
        folder = app.files.folder
        if folder is None:
            return AllowedPaths((), refusal=_NO_LOCAL_FILES)
        try:
            await anyio.to_thread.run_sync(make_private_folder, folder)
        except OSError as error:
            logger.warning("the folder of a user could not be created: %s", error)
            raise BridgeError(
                ErrorCode.INTERNAL,
                "Your folder on this server cannot be used.",
                "Tell the administrator of the service.",
            ) from error
        return AllowedPaths((folder,), refusal=_OWN_FOLDER)
    roots = settings.allowed_dirs
    if roots is None:
        roots = await anyio.to_thread.run_sync(default_roots)
    return AllowedPaths(None if roots == "*" else roots, secrets=settings.allow_secret_files)


def base_of_paths(app: App) -> Path | None:
    """Return what relative paths are relative to; None for the working directory."""
    return None if app.files is None else app.files.folder


def require_local_files(app: App, what: str) -> None:
    """Refuse what uses local files where the user may use none.

    Raises:
        BridgeError: ``permission_denied``.
    """
    if app.files is not None and app.files.folder is None:
        raise _NO_LOCAL_FILES.error(what)


async def prompt_with_files(app: App, prompt: str, files: Sequence[str]) -> tuple[str, list[FileInput]]:
    """Return the prompt followed by the content of text files, and the attachments.

    Raises:
        BridgeError: naming every file that cannot be sent.
    """
    if not files:
        return prompt, []
    settings, policy = app.bridge.settings, app.bridge.policy
    read = await read_files(
        files,
        FileLimits(text=settings.max_file_bytes, attachment=settings.max_document_bytes),
        max_text_bytes=_MAX_TEXT_BYTES,
        max_attachment_bytes=_MAX_DOCUMENT_BYTES,
        allow_private=settings.allow_private_urls,
        check_url=None if policy is None else policy.check_url,
        base=base_of_paths(app),
        allowed=await allowed_paths(app),
    )
    texts = [file for file in read if isinstance(file, TextFile)]
    attachments = [file for file in read if isinstance(file, Attachment)]
    sent = [FileInput(name=file.name, mime_type=file.mime_type, url=file.url) for file in attachments]
    return (f"{prompt}\n\n{render_files(texts)}" if texts else prompt), sent


async def image_urls(app: App, images: Sequence[str]) -> list[str]:
    """Return data URLs of the images: not every model fetches URLs, and none can read this machine.

    Args:
        images: paths, URLs, or ``image://`` URIs of the user's own pictures.

    Raises:
        BridgeError: naming every image that cannot be used.
    """
    if not images:
        return []
    settings, policy = app.bridge.settings, app.bridge.policy
    allowed = await allowed_paths(app)
    loaded = await load_images(
        [await _own_picture(app, image) if is_picture_uri(image) else image for image in images],
        max_bytes=settings.max_image_bytes,
        max_total_bytes=_MAX_IMAGE_BYTES,
        allow_private=settings.allow_private_urls,
        check_url=None if policy is None else policy.check_url,
        base=base_of_paths(app),
        # Generated images may be edited further.
        allowed=allowed if app.files is not None else allowed.also(settings.image_dir),
    )
    return [image.url for image in loaded]


async def _own_picture(app: App, uri: str) -> str:
    data = await app.pictures.read(name_in_uri(uri))
    return await anyio.to_thread.run_sync(_data_url, data)


def _data_url(data: bytes) -> str:
    return f"data:;base64,{base64.b64encode(data).decode('ascii')}"
