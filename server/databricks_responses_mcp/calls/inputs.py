"""Files and images that a caller names, read as the text, the attachments and the URLs of a request."""

from collections.abc import Sequence

import anyio.to_thread

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.media.images_in import load_images
from databricks_responses_mcp.media.input_files import Attachment, FileLimits, read_files
from databricks_responses_mcp.media.path_policy import AllowedPaths, default_roots
from databricks_responses_mcp.media.text_files import TextFile, render_files
from databricks_responses_mcp.responses.request import FileInput

# Model serving accepts 32 MiB in one request, and base64 needs four bytes for three.
_MAX_TEXT_BYTES = 16_000_000
_MAX_IMAGE_BYTES = 24_000_000
_MAX_DOCUMENT_BYTES = 24_000_000


async def allowed_paths(app: App) -> AllowedPaths:
    """Return where local files may be used: as configured, else in the working directory if it is a project."""
    settings = app.bridge.settings
    roots = settings.allowed_dirs
    if roots is None:
        roots = await anyio.to_thread.run_sync(default_roots)
    return AllowedPaths(None if roots == "*" else roots, secrets=settings.allow_secret_files)


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
        allowed=await allowed_paths(app),
    )
    texts = [file for file in read if isinstance(file, TextFile)]
    attachments = [file for file in read if isinstance(file, Attachment)]
    sent = [FileInput(name=file.name, mime_type=file.mime_type, url=file.url) for file in attachments]
    return (f"{prompt}\n\n{render_files(texts)}" if texts else prompt), sent


async def image_urls(app: App, images: Sequence[str]) -> list[str]:
    """Return data URLs of the images: not every model fetches URLs, and none can read this machine.

    Raises:
        BridgeError: naming every image that cannot be used.
    """
    if not images:
        return []
    settings, policy = app.bridge.settings, app.bridge.policy
    loaded = await load_images(
        images,
        max_bytes=settings.max_image_bytes,
        max_total_bytes=_MAX_IMAGE_BYTES,
        allow_private=settings.allow_private_urls,
        check_url=None if policy is None else policy.check_url,
        # Generated images may be edited further.
        allowed=(await allowed_paths(app)).also(settings.image_dir),
    )
    return [image.url for image in loaded]
