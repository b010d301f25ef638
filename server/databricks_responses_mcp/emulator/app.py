"""The workspace as an ASGI application."""

from starlette.applications import Starlette
from starlette.routing import Route as Path
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_responses_mcp.emulator.exchange import Handler, Route
from databricks_responses_mcp.emulator.routes import chat, endpoints, invocations, responses
from databricks_responses_mcp.emulator.state import EmulatorState


def create_app(state: EmulatorState) -> Starlette:
    """The workspace's paths over ``state``."""
    wrong_method = Route(state, endpoints.no_such_method)

    def path(method: str, template: str, handler: Handler) -> Path:
        return Path(template, _ByMethod({method: Route(state, handler)}, wrong_method))

    app = Starlette(
        routes=[
            path("POST", "/serving-endpoints/responses", responses.create_response),
            path("POST", "/serving-endpoints/chat/completions", chat.create_completion),
            path("POST", "/serving-endpoints/{name}/invocations", invocations.invoke),
            path("GET", "/api/2.0/serving-endpoints", endpoints.list_endpoints),
            path("GET", "/api/2.0/serving-endpoints/{name}", endpoints.get_endpoint),
            # Clients look here before they have a credential.
            Path("/.well-known/{rest:path}", Route(state, endpoints.no_such_path, public=True)),
            Path("/{rest:path}", Route(state, endpoints.no_such_path)),
        ]
    )
    app.router.redirect_slashes = False
    return app


class _ByMethod:
    def __init__(self, apps: dict[str, ASGIApp], otherwise: ASGIApp) -> None:
        self._apps = apps
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps.get(scope["method"], self._otherwise)(scope, receive, send)
