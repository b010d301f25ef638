"""The workspace's endpoints, cached for a while, and the default endpoint of a call that names none."""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode, Reason
from databricks_responses_mcp.spelling import similar_names
from databricks_responses_mcp.workspace.catalog import is_catalog_name
from databricks_responses_mcp.workspace.endpoints import Endpoint, read_entries
from databricks_responses_mcp.workspace.model_profile import Capability, gpt_version

logger = logging.getLogger(__name__)

# After a failure, calls that need a default do not each request the listing again at once.
_RETRY_SECONDS = 15.0
_PATIENCE_SECONDS = 10.0
_MAX_SIMILAR = 3
_MAX_SERVICES = 200
"""The maximum number of cached model services that are in no listing."""
# The plain model of a version first; a coding, small or slow variant only if there is no other.
_VARIANTS = (r"-(?:codex|code)\b", r"-pro\b", r"-mini\b", r"-nano\b")


class EndpointDirectory:
    """A cached listing. One call at a time requests it; the others wait for its answer.

    Args:
        fetch: requests the listing and returns it in the form of ``GET /api/2.0/serving-endpoints``; raises
            ``BridgeError``.
        fetch_service: requests one model service of Unity Catalog; None if there is none; raises ``BridgeError``.
        ttl_seconds: how long an answer is cached.
        in_background: starts work in the background, if possible; then the cached listing is returned immediately,
            however old it is, and refreshed meanwhile.
        is_allowed: whether the user may use an endpoint; others are never chosen or suggested.
        clock: a monotonic clock, in seconds.

    Attributes:
        problems: sentences about what is missing in the last listing.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, Any]]],
        ttl_seconds: float = 300,
        *,
        in_background: Callable[[Callable[[], Coroutine[Any, Any, None]]], bool] = lambda _work: False,
        fetch_service: Callable[[str], Awaitable[Mapping[str, Any] | None]] | None = None,
        is_allowed: Callable[[Endpoint], bool] = lambda _endpoint: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._fetch_service = fetch_service
        self._is_allowed = is_allowed
        self._services: dict[str, Endpoint] = {}
        self._asked_services: OrderedDict[str, tuple[float, Endpoint | None]] = OrderedDict()
        self.problems: tuple[str, ...] = ()
        self._ttl = ttl_seconds
        self._clock = clock
        self._in_background = in_background
        self._refreshing = False
        self._lock = anyio.Lock()
        self._known: tuple[Endpoint, ...] | None = None
        self._asked = 0
        self._asked_at = 0.0
        self._failure: BridgeError | None = None
        self._failed_at = 0.0

    async def list(self, *, refresh: bool = False) -> tuple[Endpoint, ...]:
        """Return all visible endpoints, sorted by name. ``refresh`` requests the listing even if it is cached.

        Raises:
            BridgeError: if the request fails; ``not_configured`` with `Reason.NO_LISTING` if the host has no listing,
                which is cached as long as a listing.
        """
        if not refresh and self._failure is not None and self.has_no_listing:
            raise self._failure.with_traceback(None)
        if not refresh and self._known is not None and self._ttl and self._clock() - self._asked_at >= self._ttl:
            stale = self._known
            if not self._refreshing and self._in_background(self._refresh):
                self._refreshing = True
            if self._refreshing:
                return stale
        asked_before = self._asked
        async with self._lock:
            # A call that waited for the request of another one uses its answer.
            asked_at = self._clock()
            fresh = self._asked > asked_before if refresh else asked_at - self._asked_at < self._ttl
            if self._known is not None and fresh:
                return self._known
            self._asked += 1
            self._known = await self._ask()
            self._asked_at = asked_at
            return self._known

    async def usable(self) -> tuple[Endpoint, ...]:
        """Those of `list` that the user may use.

        Raises:
            BridgeError: as `list`.
        """
        return self._allowed(await self.list())

    async def _refresh(self) -> None:
        try:
            await self.list(refresh=True)
        except BridgeError:
            # The failure is cached; the next caller gets the known endpoints.
            self._asked_at = self._clock()
        except Exception:  # nothing awaits it, and an exception would end the server's task group
            logger.exception("asking for the endpoints in the background failed")
            self._asked_at = self._clock()
        finally:
            self._refreshing = False

    @property
    def has_no_listing(self) -> bool:
        """Whether the host recently had no listing: then it is not a Databricks workspace."""
        failure = self._failure
        if failure is None or failure.reason is not Reason.NO_LISTING:
            return False
        return self._clock() - self._failed_at < max(self._ttl, _RETRY_SECONDS)

    @property
    def is_known(self) -> bool:
        """Whether a listing is cached, even an old one."""
        return self._known is not None

    async def get(self, name: str) -> Endpoint | None:
        """Return the endpoint of a name; None if there is none or the request fails. Never raises.

        A model service of Unity Catalog that is in no listing is requested by its name.
        """
        endpoints = await self._list_or_nothing()
        if (listed := next((one for one in endpoints if one.name == name), None)) is not None:
            return listed
        return self._services.get(name) or (await self._service(name) if is_catalog_name(name) else None)

    async def default_text_model(self) -> str:
        """Return the default endpoint for text.

        Of the ready endpoints of the native Responses API, pay-per-token ones come first, and of these the highest GPT
        version; of one version the plain name comes before codex, pro, mini and nano. Then come external OpenAI models
        in the same order, then model services of Unity Catalog.

        Raises:
            BridgeError: ``not_configured`` if there is no such endpoint, saying what to set; the failure of the
                listing, if every other request would fail in the same way.
        """
        return await self._default(
            lambda e: e.profile.model_class == "native", "that serves the Responses API", "RESPONSES_MCP_MODEL"
        )

    async def default_image_model(self) -> str:
        """Return the default endpoint for images: as for text, among those that can probably generate images.

        Raises:
            BridgeError: as `default_text_model`.
        """
        return await self._default(
            lambda e: "image_generation" in e.profile.can, "that generates images", "RESPONSES_MCP_IMAGE_MODEL"
        )

    async def one_that_can(self, capability: Capability, *, but: str = "") -> str | None:
        """Return the first endpoint, in the order of the defaults, that has a capability. Never raises."""
        usable = self._allowed(await self._list_or_nothing())
        able = [e for e in usable if e.ready and e.name != but and capability in e.profile.can]
        return max(able, key=_rank).name if able else None

    async def similar(self, name: str) -> tuple[str, ...]:
        """Return up to three endpoints with a name similar to ``name``. Never raises."""
        names = [e.name for e in self._allowed(await self._list_or_nothing()) if e.ready and e.profile.is_askable]
        return () if name in names else tuple(_similar(name, names))

    def _allowed(self, endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
        return tuple(endpoint for endpoint in endpoints if self._is_allowed(endpoint))

    async def _default(self, suits: Callable[[Endpoint], bool], what: str, setting: str) -> str:
        endpoints = self._allowed(await self._list_or_nothing())
        able = [e for e in endpoints if suits(e) and e.ready and e.kind in ("pay_per_token", "external", "service")]
        if able:
            return max(able, key=_rank).name
        if self._known is None and self._failure is not None and _fails_every_request(self._failure):
            raise self._failure.with_traceback(None)
        others = sorted((e for e in endpoints if e.ready and e.profile.is_askable), key=_rank, reverse=True)
        named = f" It lists {', '.join(e.name for e in others[:_MAX_SIMILAR])}." if others else ""
        reason = (
            f"the workspace lists none {what}.{named}"
            if self._failure is None or self._known is not None
            else f"the workspace's models could not be listed: {self._failure.message}"
        )
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"No model was named, and {reason}",
            f"Set {setting} to the model to use, a serving endpoint or a name of the catalog such as "
            "system.ai.gpt-5, or name it in the call (`model`).",
        )

    async def _service(self, name: str) -> Endpoint | None:
        """Return a model service that is in no listing; the answer, also that there is none, is cached for a while."""
        if self._fetch_service is None:
            return None
        known = self._asked_services.get(name)
        if known is not None and self._clock() - known[0] < (self._ttl if known[1] is not None else _RETRY_SECONDS):
            return known[1]
        entry: Mapping[str, Any] | None = None
        with anyio.move_on_after(_PATIENCE_SECONDS):
            try:
                entry = await self._fetch_service(name)
            except BridgeError as error:
                logger.debug("the model service %s cannot be requested: %s", name, error)
        found = next(iter(read_entries([entry] if entry is not None else [])), None)
        self._asked_services[name] = (self._clock(), found)
        while len(self._asked_services) > _MAX_SERVICES:
            self._asked_services.popitem(last=False)
        return found

    async def _list_or_nothing(self) -> tuple[Endpoint, ...]:
        if self.has_no_listing or (self._failure is not None and self._clock() - self._failed_at < _RETRY_SECONDS):
            return self._known or ()
        # A listing helps a call; one that hangs must not delay it.
        with anyio.move_on_after(_PATIENCE_SECONDS):
            try:
                return await self.list()
            except BridgeError:
                return self._known or ()
        self._failed_at = self._clock()
        self._failure = self._failure or BridgeError(ErrorCode.TIMEOUT, "The listing did not arrive in time.", "")
        return self._known or ()

    async def _ask(self) -> tuple[Endpoint, ...]:
        try:
            payload: object = await self._fetch()
            if not isinstance(payload, Mapping):
                raise BridgeError(ErrorCode.UPSTREAM_ERROR, "The answer is not a listing.", "", status=200)
        except BridgeError as error:
            self._failure, self._failed_at = _told(error), self._clock()
            raise self._failure from error
        self._failure = None
        self._services = {one.name: one for one in read_entries(payload.get("services"))}
        problems = payload.get("problems")
        self.problems = tuple(map(str, problems)) if isinstance(problems, list) else ()
        return tuple(sorted(read_entries(payload.get("endpoints")), key=lambda endpoint: endpoint.name))


_FAILS_EVERY_REQUEST = (ErrorCode.UNAUTHENTICATED, ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.TIMEOUT)


def _fails_every_request(failure: BridgeError) -> bool:
    """Return whether every request would fail like the listing: then that is reported, not a missing setting."""
    if failure.code is ErrorCode.NOT_CONFIGURED:
        return failure.reason is not Reason.NO_LISTING  # no host, no credentials or no such profile
    return failure.code in _FAILS_EVERY_REQUEST


_NO_LISTING_STATUSES = (200, 404, 405, 501)


def _told(error: BridgeError) -> BridgeError:
    """Return the failure of a listing as such: a missing path is not an unknown model."""
    if error.status not in _NO_LISTING_STATUSES or error.reason is Reason.SIGN_IN_PAGE:
        return error
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"The server at DATABRICKS_HOST has no listing of serving endpoints (HTTP {error.status}): it is a proxy or "
        "another server of the API, not a Databricks workspace.",
        "Name the model in each call (`model`), or set RESPONSES_MCP_MODEL; the server's own documentation has the "
        "names. If it should be a workspace, correct DATABRICKS_HOST.",
        status=error.status,
        request_id=error.request_id,
        reason=Reason.NO_LISTING,
    )


def _rank(endpoint: Endpoint) -> tuple[object, ...]:
    name = endpoint.name.lower()
    variant = next((place for place, mark in enumerate(_VARIANTS, 1) if re.search(mark, name)), 0)
    # A shorter name is the plainer one (gpt-6-1 before gpt-6-1-sol); the last part only makes the order deterministic.
    return (
        endpoint.kind == "pay_per_token",
        endpoint.kind != "service",
        variant == 0,
        gpt_version(name) or (0, 0),
        -variant,
        -len(name),
        name,
    )


def _similar(wanted: str, names: Iterable[str]) -> list[str]:
    """Return the names that are similar to the wanted one, the most similar first."""
    by_bare = {_bare(name): name for name in names}
    bare = _bare(wanted)
    if not bare:
        return []
    found = [known for known in by_bare if known == bare]
    found += sorted(known for known in by_bare if known.startswith(bare))
    found += sorted(known for known in by_bare if bare in known)
    found += similar_names(bare, by_bare, most=_MAX_SIMILAR)
    return [by_bare[known] for known in dict.fromkeys(found)][:_MAX_SIMILAR]


def _bare(name: str) -> str:
    """Return the part of a model's name that vendors, Unity Catalog and Databricks share: ``gpt-5-1`` of
    ``system.ai.gpt-5.1``.
    """
    bare = name.lower().strip().removeprefix("system.ai.").removeprefix("databricks-").rpartition("/")[2]
    return bare.replace(".", "-").replace("_", "-").replace(" ", "-")
