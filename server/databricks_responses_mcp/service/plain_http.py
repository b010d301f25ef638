"""Requests that the service itself makes, without credentials: for the issuer's keys, and to see that hosts answer."""

from urllib.parse import urlsplit

import anyio
import httpx

from databricks_responses_mcp.workspace.tls import Trust, trust_for

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


class PlainHttpError(Exception):
    """A request had no usable answer; the text says why."""


class PlainHttp:
    """Sends single GET requests; no redirect is followed, and each has a deadline for everything."""

    def __init__(self) -> None:
        self._trusts: dict[str, Trust] = {}

    async def get(self, url: str, *, seconds: float, most_bytes: int) -> tuple[int, bytes]:
        """Return the status and the body of an answer.

        Args:
            seconds: how long it may take in all.
            most_bytes: the largest body; of a longer one, this many bytes are returned.

        Raises:
            PlainHttpError: if there is no answer in time.
        """
        try:
            with anyio.fail_after(seconds):
                trust = await self._trust(url)
                async with (
                    httpx.AsyncClient(
                        verify=trust.context, trust_env=not trust.loopback, follow_redirects=False, timeout=seconds
                    ) as http,
                    http.stream("GET", url, headers=_HEADERS) as answer,
                ):
                    body = b""
                    # Bytes as they come: what is compressed is not unpacked.
                    async for piece in answer.aiter_raw():
                        body += piece
                        if len(body) >= most_bytes:
                            break
                    return answer.status_code, body[:most_bytes]
        except TimeoutError as error:
            raise PlainHttpError(f"{_place(url)} did not answer within {seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise PlainHttpError(f"{_place(url)} cannot be reached: {type(error).__name__}") from error

    async def _trust(self, url: str) -> Trust:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._trusts:
            self._trusts[origin] = await trust_for(origin)
        return self._trusts[origin]


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
