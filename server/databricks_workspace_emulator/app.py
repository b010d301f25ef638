"""The workspace as an ASGI application."""

from starlette.applications import Starlette
from starlette.routing import Route as Path
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_workspace_emulator.exchange import Handler, Route
from databricks_workspace_emulator.routes import (
    apps,
    chat,
    completions,
    endpoints,
    files,
    gateway,
    gemini,
    invocations,
    lakebase,
    listings,
    mcp_services,
    open_responses,
    responses,
    token_exchange,
)
from databricks_workspace_emulator.state import EmulatorState


def create_app(state: EmulatorState) -> Starlette:
    """Return the application for the workspace's paths with ``state``."""
    wrong_method = Route(state, endpoints.no_such_method)

    def path(method: str, template: str, handler: Handler) -> Path:
        return paths(template, {method: handler})

    def paths(template: str, handlers: dict[str, Handler]) -> Path:
        routes: dict[str, ASGIApp] = {method: Route(state, handler) for method, handler in handlers.items()}
        return Path(template, _ByMethod(routes, wrong_method))

    def through_gateway(method: str, template: str, handler: Handler) -> Path:
        return path(method, f"/ai-gateway{template}", gateway.behind_gateway(handler))

    serving = [
        path("POST", "/serving-endpoints/responses", responses.create_response),
        path("POST", "/serving-endpoints/open-responses", open_responses.create_open_response),
        path("POST", "/serving-endpoints/chat/completions", chat.create_completion),
        path("POST", "/serving-endpoints/completions", completions.complete_prompt),
        path("POST", "/serving-endpoints/{name}/invocations", invocations.invoke),
    ]
    through = [
        through_gateway("POST", "/openai/v1/responses", gateway.native_response),
        through_gateway("POST", "/openai/v1/chat/completions", gateway.native_chat),
        through_gateway("GET", "/openai/v1/models", gateway.no_listing),
        through_gateway("POST", "/codex/v1/responses", gateway.codex_response),
        through_gateway("GET", "/codex/v1/models", gateway.no_codex_listing),
        through_gateway("POST", "/gemini/v1beta/models/{call}", gemini.generate),
        through_gateway("POST", "/mlflow/v1/responses", gateway.supervisor_response),
        through_gateway("POST", "/mlflow/v1/chat/completions", gateway.unified_chat),
    ]
    supervisor = "/mlflow/v1/responses/{response_id}"
    through += [
        through_gateway("GET", supervisor, gateway.get_supervisor_response),
        through_gateway("POST", f"{supervisor}/cancel", gateway.cancel_supervisor_response),
        through_gateway("POST", "/mcp-services/{name}", mcp_services.serve),
    ]
    listing = [
        path("GET", "/api/2.0/serving-endpoints", endpoints.list_endpoints),
        path("GET", "/api/2.0/serving-endpoints:foundation-models", listings.list_foundation_models),
        path("GET", "/api/2.0/serving-endpoints/{name}", endpoints.get_endpoint),
        path("GET", "/api/2.1/unity-catalog/model-services", listings.list_model_services),
        path("GET", "/api/2.1/unity-catalog/model-services/{name}", listings.get_model_service),
        path("GET", "/api/2.1/unity-catalog/mcp-services", listings.list_mcp_services),
        path("GET", "/api/2.1/unity-catalog/mcp-services/{name}", listings.get_mcp_service),
        path("GET", "/api/ai-gateway/v2/endpoints", gateway.list_gateway_endpoints),
        path("GET", "/api/2.0/apps", apps.list_apps),
        path("GET", "/api/2.0/apps/{name}", apps.get_app),
    ]
    volumes = [
        paths(
            "/api/2.0/fs/files/{path:path}",
            {"PUT": files.put_file, "GET": files.get_file, "HEAD": files.get_file, "DELETE": files.delete_file},
        ),
        paths(
            "/api/2.0/fs/directories/{path:path}",
            {
                "PUT": files.create_directory,
                "GET": files.list_directory,
                "HEAD": files.list_directory,
                "DELETE": files.delete_directory,
            },
        ),
    ]
    databases = [
        path("POST", "/api/2.0/postgres/credentials", lakebase.create_endpoint_credential),
        path("GET", "/api/2.0/postgres/projects/{rest:path}", lakebase.get_postgres_endpoint),
        path("POST", "/api/2.0/database/credentials", lakebase.create_instance_credential),
        path("GET", "/api/2.0/database/instances/{name}", lakebase.get_instance),
        path("GET", "/api/2.0/preview/scim/v2/Me", lakebase.describe_user),
    ]
    # These check credentials themselves, or need none: clients use the last one before they have any.
    own = [
        Path("/apps/{name}/responses", Route(state, apps.ask_app, public=True)),
        Path("/apps/{name}/invocations", Route(state, apps.ask_app, public=True)),
        Path("/login.html", Route(state, apps.sign_in, public=True)),
        Path("/oidc/v1/token", Route(state, token_exchange.exchange_token, public=True)),
        Path("/oidc/.well-known/oauth-authorization-server", Route(state, token_exchange.describe_tokens, public=True)),
        Path("/.well-known/databricks-config", Route(state, token_exchange.describe_workspace, public=True)),
        Path("/.well-known/{rest:path}", Route(state, endpoints.no_such_path, public=True)),
    ]
    app = Starlette(
        routes=[
            *serving,
            *through,
            *listing,
            *volumes,
            *databases,
            *own,
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
