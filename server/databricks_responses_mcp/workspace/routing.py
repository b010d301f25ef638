"""The surface for a model: the requested one, learned in this process, listed by the workspace, or guessed."""

import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, Reason, quoted
from databricks_responses_mcp.workspace.apps import NAME_PREFIX
from databricks_responses_mcp.workspace.catalog import catalog_name_of, is_catalog_name
from databricks_responses_mcp.workspace.endpoints import Endpoint
from databricks_responses_mcp.workspace.model_profile import profile_of_name
from databricks_responses_mcp.workspace.surfaces.surface import Surface, SurfaceKey, at
from databricks_responses_mcp.workspace.surfaces.table import SURFACES

Confidence = Literal["forced", "learned", "listed", "named", "guessed"]

AUTO = "auto"
CHOICES = (AUTO, *SURFACES)

_MAY_BE_MISMATCHES = frozenset(
    {
        Reason.ENCRYPTED_REASONING_REFUSED,
        Reason.INCLUDE_REFUSED,
        Reason.STRICT_REFUSED,
        Reason.OUTPUT_CAP_REFUSED,
        Reason.PARAMETER_REFUSED,
        Reason.FEATURE_MISSING,
        Reason.NAME_UNKNOWN,
        Reason.MODEL_FAILED,
    }
)
"""Reasons that a request for the wrong surface may fail with as well."""


@dataclass(frozen=True, slots=True)
class Route:
    """A surface to try.

    Attributes:
        reason: the evidence, as half a sentence.
        model: the name of the model on this surface, if it differs from the caller's.
    """

    surface: Surface
    reason: str
    confidence: Confidence
    model: str | None = None


class Router:
    """Finds the routes to models, and remembers the one that a model answered on.

    Args:
        look_up: returns the endpoint of a name, if the workspace lists it; never raises.
        setting: the configured surface, or ``auto``.
        app_url: returns the URL of an App that is named by ``apps/NAME`` or its address; raises ``BridgeError`` if it
            is not an App of the workspace.
        is_known: whether looking up needs no request.
        responses_path: the configured path of the native and the agents' surface, if any.
    """

    def __init__(
        self,
        look_up: Callable[[str], Awaitable[Endpoint | None]],
        *,
        setting: str = AUTO,
        responses_path: str | None = None,
        is_known: Callable[[], bool] = lambda: True,
        app_url: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        self._look_up = look_up
        self._setting = setting
        self._responses_path = responses_path
        self._is_known = is_known
        self._app_url = app_url or _no_apps
        self._learned: dict[str, tuple[SurfaceKey, str | None]] = {}

    async def routes(
        self, model: str, *, forced: str | None = None, but: Collection[SurfaceKey] = frozenset()
    ) -> list[Route]:
        """Return one or two routes, the better first, without the surfaces in ``but``.

        Raises:
            BridgeError: ``invalid_argument`` for an invalid name, and for an address that is not an App of the
                workspace.
        """
        if (known := self.known_routes(model, forced=forced, but=but)) is not None:
            return known
        if _is_app(model):
            url = await self._app_url(model)
            return [Route(replace(SURFACES["app"], path=at(url)), "it names an App", "forced")]
        profile = profile_of_name(model)
        # A name that is conclusive is not worth waiting for a listing; an available listing is used.
        if profile.confidence != "named" or profile.model_class != "native" or self._is_known():
            endpoint = await self._look_up(model)
            profile = endpoint.profile if endpoint is not None else profile
            if endpoint is None and self._responses_path is not None and is_catalog_name(model):
                # A name of another server that only looks like one of the catalog, such as ``qwen2.5-7b.q4.gguf``.
                return [Route(self._surface("responses"), "a path is configured", "guessed")]
        routes = [
            Route(self._surface(key), profile.reason, profile.confidence)
            for key in profile.surfaces[:2]
            if key not in but
        ]
        # A configured path always applies.
        return (
            routes[:1]
            if routes and self._responses_path is not None and routes[0].surface.key in ("responses", "agent")
            else routes
        )

    def known_routes(
        self, model: str, *, forced: str | None = None, but: Collection[SurfaceKey] = frozenset()
    ) -> list[Route] | None:
        """Return the routes of `routes` that need no look-up; None if one is needed.

        Raises:
            BridgeError: ``invalid_argument`` for an invalid name.
        """
        _check_name(model)
        if _is_app(model):
            return None
        wanted = forced or self._setting
        if wanted != AUTO:
            return [Route(self._surface(_key(wanted)), "it was asked for", "forced")]
        if (learned := self._learned.get(model)) is not None and learned[0] not in but:
            key, name = learned
            return [Route(self._surface(key), "it answered there before", "learned", name)]
        return None

    async def other_routes(self, model: str, learned: Route, but: Collection[SurfaceKey]) -> list[Route]:
        """Return the other routes than a learned one, for a request that the learned surface cannot express."""
        if learned.model is None:
            return await self.routes(model, but=but)
        return [route for route in await self.routes_after_move(model) if route.surface.key not in but]

    async def routes_after_move(self, model: str) -> list[Route]:
        """Return the routes through the gateway for a legacy name (``databricks-X``), by its name in the catalog.

        Returns:
            Return none for a name that is not a legacy name, or if a path is configured.
        """
        name = catalog_name_of(model)
        if name is None or self._responses_path is not None:
            return []
        endpoint = await self._look_up(name)
        profile = endpoint.profile if endpoint is not None else profile_of_name(name)
        reason = "the workspace has moved to the model services of Unity Catalog"
        return [Route(self._surface(key), reason, profile.confidence, name) for key in profile.surfaces[:2]]

    def learn(self, model: str, key: SurfaceKey, name: str | None = None) -> None:
        """Remember that the model has answered on this surface, by another name if one is given."""
        self._learned[model] = key, name

    def unlearn(self, model: str) -> None:
        """Forget what was learned about the model."""
        self._learned.pop(model, None)

    def _surface(self, key: SurfaceKey) -> Surface:
        surface = SURFACES[key]
        if self._responses_path is None or key not in ("responses", "agent"):
            return surface
        # A path that the user configured, such as one of a proxy.
        return Surface(
            key=surface.key,
            speaks=surface.speaks,
            path=at(self._responses_path),
            translate=surface.translate,
            reader=surface.reader,
        )


def has_moved(error: BridgeError, route: Route, model: str) -> bool:
    """Return whether a failure says that model serving no longer serves a model by its legacy name."""
    if error.may_be_paid or route.surface.is_gateway or route.confidence == "forced" or not catalog_name_of(model):
        return False
    return error.status == 501 or error.reason is Reason.NAME_RETIRED


def is_wrong_route(error: BridgeError, route: Route) -> bool:
    """Return whether a failure says that the route is wrong: another may be tried, as nothing was billed.

    If the workspace itself lists the surface, a refused parameter is an error of the request.
    """
    if error.may_be_paid or error.status not in (400, 404, 500, 501) or error.reason is Reason.OBJECT_UNKNOWN:
        return False
    if error.status in (404, 501) or error.reason is Reason.SURFACE_MISMATCH:
        return True
    # A model that failed internally may have been paid for: this does not show a wrong route if the name is conclusive.
    sure = route.confidence == "listed" or (route.confidence == "named" and route.surface.key == "responses")
    return not sure and route.confidence != "forced" and error.reason in _MAY_BE_MISMATCHES


def _is_app(model: str) -> bool:
    return model.startswith(("https://", "http://", NAME_PREFIX))


async def _no_apps(name: str) -> str:
    raise BridgeError(ErrorCode.MODEL_NOT_FOUND, f"There is no App {quoted(name)}.", "Name a serving endpoint.")


def _key(name: str) -> SurfaceKey:
    for key in SURFACES:
        if key == name:
            return key
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT, f"Unknown surface: {quoted(name)}.", f"Use one of {', '.join(CHOICES)}."
    )


def _check_name(model: str) -> None:
    """Refuse a name that would change the path of the request."""
    if not model.strip() or any(part in (".", "..") for part in re.split(r"[/\\]", model)) or not model.isprintable():
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{model[:100]!r} cannot be the name of a model.",
            "Name a serving endpoint, or an App as apps/NAME.",
            advice=(Advice(Action.LIST_MODELS),),
        )
