"""Completion of arguments that name a serving endpoint."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import anyio

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.endpoints import Endpoint

logger = logging.getLogger(__name__)

_WAIT_SECONDS = 1.5
# After a failure, keystrokes do not send requests to the workspace for this time.
_RETRY_SECONDS = 15.0


async def list_text_models(app: App, typed: str) -> Sequence[str]:
    """Return the endpoints that can answer questions: ready ones first, and among them those of the Responses API."""
    endpoints = [e for e in await _endpoints(app) if e.profile.is_askable]
    return [e.name for e in sorted(endpoints, key=lambda e: (not e.ready, e.profile.model_class != "native"))]


async def list_image_models(app: App, typed: str) -> Sequence[str]:
    """Return the endpoints that generate images; if none is known to, those that might."""
    endpoints = await _endpoints(app)
    for answer in ("yes", "unknown"):
        if drawing := [e for e in endpoints if e.profile.has("image_generation") == answer]:
            return [e.name for e in sorted(drawing, key=lambda e: not e.ready)]
    return ()


async def _endpoints(app: App) -> Sequence[Endpoint]:
    """Return the workspace's endpoints as far as they are known within the deadline; never raises an error."""
    listing = _listings.setdefault(app.bridge, _Listing())
    with anyio.move_on_after(_WAIT_SECONDS):
        await listing.refresh(app)
    return listing.known


@dataclass(eq=False)
class _Listing:
    """The endpoints of one workspace. A slow request continues after the host's answer, for the next completion."""

    known: Sequence[Endpoint] = ()
    asking: anyio.Event | None = None
    not_before: float = 0.0

    async def refresh(self, app: App) -> None:
        if self.asking is None and time.monotonic() >= self.not_before:
            self.asking = anyio.Event()
            if app.background is None:
                await self._ask(app.bridge, self.asking)
            else:
                app.background.start_soon(self._ask, app.bridge, self.asking)
        if self.asking is not None:
            await self.asking.wait()

    async def _ask(self, bridge: Bridge, done: anyio.Event) -> None:
        try:
            self.known = await bridge.endpoints.usable()
        except BridgeError as error:
            logger.info("no completion of model names: %s", error)
            self.not_before = time.monotonic() + _RETRY_SECONDS
        except Exception:
            # It runs in the server's task group, which an exception would end.
            logger.exception("completion of model names failed")
            self.not_before = time.monotonic() + _RETRY_SECONDS
        finally:
            self.asking = None
            done.set()


_listings: WeakKeyDictionary[Bridge, _Listing] = WeakKeyDictionary()
