"""Fetching wheels directly from a package index (PEP 503 and 691), on a machine without pip.

The index must be configured: only pip has a default.
"""

import configparser
import html.parser
import os
import shutil
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

import httpx

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines.artifacts import WITHOUT_IT, Artifact
from databricks_workspace_emulator.engines.pip_source import FetchStoppedError
from databricks_workspace_emulator.engines.progress import Progress

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_TRIES = 3


def fetch_from_index(artifact: Artifact, directory: Path, progress: Progress | None, stop: threading.Event) -> Path:
    """Download one wheel into ``directory`` (emptied first) and return its path. The caller must verify it.

    The indexes and the certificate are taken from pip's environment variables and files.

    Raises:
        BridgeError: no index could be reached, or none has the file.
        FetchStoppedError: ``stop`` was set.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    settings = pip_settings(os.environ)
    if not indexes(settings):
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"There is no pip to fetch {artifact.filename} with, and no package index is configured.",
            f"Install pip, or set PIP_INDEX_URL, or {WITHOUT_IT}.",
        )
    certificate = settings.get("cert")
    reached = False
    with httpx.Client(
        verify=ssl.create_default_context(cafile=certificate) if certificate else True,
        timeout=httpx.Timeout(30.0),
        follow_redirects=True,
    ) as client:
        for index in indexes(settings):
            for _ in range(_TRIES):
                if stop.is_set():
                    raise FetchStoppedError
                try:
                    url = _find(client, index, artifact)
                    reached = True
                    if url is None:
                        break
                    return _download(client, url, artifact, directory / artifact.filename, progress, stop)
                except (httpx.TransportError, httpx.HTTPStatusError, httpx.InvalidURL):
                    continue
    if reached:
        raise BridgeError(
            ErrorCode.NOT_FOUND,
            f"No package index that pip is configured with gave {artifact.filename}.",
            f"Check PIP_INDEX_URL and pip's configuration file, or {WITHOUT_IT}.",
        )
    raise BridgeError(
        ErrorCode.UPSTREAM_UNAVAILABLE,
        f"The package index could not be reached to fetch {artifact.filename}.",
        f"Check the network, the proxy and PIP_INDEX_URL and try again, or {WITHOUT_IT}.",
        retryable=True,
    )


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's options from its files and ``PIP_*`` variables: names as on its command line, later ones take
    precedence.
    """
    settings: dict[str, str] = {}
    for path in _configuration_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "download"):
            if parser.has_section(section):
                settings |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def _configuration_files(environ: Mapping[str, str]) -> Iterator[Path]:
    only = environ.get("PIP_CONFIG_FILE")
    if only == os.devnull:
        return
    home = Path(environ.get("HOME") or Path.home())
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if only:
        yield Path(only)


def indexes(settings: Mapping[str, str]) -> list[str]:
    """Return the indexes to use, in order. Those on the disk are left to pip."""
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        return []
    named = f"{settings.get('index-url', '')} {settings.get('extra-index-url', '')}".split()
    return [url.rstrip("/") for url in named if url.startswith(("https://", "http://"))]


def _find(client: "httpx.Client", index: str, artifact: Artifact) -> str | None:
    response = client.get(f"{index}/{artifact.distribution}/", headers={"accept": _ACCEPT})
    if response.status_code == 404:
        return None
    response.raise_for_status()
    base = str(response.url)
    if "json" in response.headers.get("content-type", ""):
        return _from_json(response, base, artifact)
    links = _Links()
    links.feed(response.text)
    for href in links.hrefs:
        url = urldefrag(urljoin(base, href)).url
        if url.rsplit("/", 1)[-1] == artifact.filename:
            return url
    return None


def _from_json(response: "httpx.Response", base: str, artifact: Artifact) -> str | None:
    try:
        page: Any = response.json()
        files = [(file["filename"], file["url"]) for file in page["files"]]
    except (ValueError, KeyError, TypeError):
        return None
    return next((urljoin(base, str(url)) for filename, url in files if filename == artifact.filename), None)


def _download(
    client: "httpx.Client", url: str, artifact: Artifact, target: Path, progress: Progress | None, stop: threading.Event
) -> Path:
    done = 0
    with client.stream("GET", url, headers={"accept-encoding": "identity"}) as response, target.open("wb") as out:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            if stop.is_set():
                raise FetchStoppedError
            out.write(chunk)
            done += len(chunk)
            if done > artifact.size:
                break  # Another file, whatever follows: the hash will differ.
            if progress is not None:
                progress(artifact.distribution, min(done, artifact.size), artifact.size)
    return target


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for name, value in attrs if name == "href" and value]
