"""Which surface is tried, which one next, and when neither is."""

import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode, Reason
from databricks_responses_mcp.workspace.endpoints import Endpoint, read_entries
from databricks_responses_mcp.workspace.routing import CHOICES, Route, Router, is_wrong_route
from databricks_responses_mcp.workspace.settings import SURFACE_NAMES
from databricks_responses_mcp.workspace.surfaces.table import SURFACES

pytestmark = pytest.mark.anyio


async def nothing_known(_name: str) -> Endpoint | None:
    return None


async def keys(router: Router, model: str, forced: str | None = None) -> list[str]:
    return [route.surface.key for route in await router.routes(model, forced=forced)]


async def test_the_listing_comes_before_the_name() -> None:
    (listed,) = read_entries([{"name": "databricks-gpt-5", "task": "agent/v1/responses"}])

    async def look_up(_name: str) -> Endpoint | None:
        return listed

    assert await keys(Router(look_up), "databricks-gpt-5") == ["agent", "agent-invocations"]
    assert await keys(Router(nothing_known), "databricks-gpt-5") == ["responses", "chat"]


async def test_what_was_learned_holds_until_it_does_not() -> None:
    router = Router(nothing_known)
    router.learn("m", "chat")
    assert await keys(router, "m") == ["chat"]
    assert await keys(router, "m", forced="responses") == ["responses"]
    router.unlearn("m")
    assert await keys(router, "m") == ["responses", "chat"]


async def test_a_setting_or_an_argument_forces_one() -> None:
    assert await keys(Router(nothing_known, setting="open-responses"), "m") == ["open-responses"]
    assert await keys(Router(nothing_known, setting="open-responses"), "m", forced="gateway") == ["gateway"]
    with pytest.raises(BridgeError, match="Unknown surface: 'chatt'"):
        await Router(nothing_known).routes("m", forced="chatt")


async def test_a_path_of_the_users_own_is_where_the_responses_api_is() -> None:
    router = Router(nothing_known, responses_path="/v1/responses")
    (route,) = await router.routes("m")
    assert route.surface.path("m") == "/v1/responses"
    (agent,) = await router.routes("m", forced="agent")
    assert agent.surface.path("m") == "/v1/responses"


async def test_a_name_with_two_dots_on_another_server_is_asked_on_the_configured_path() -> None:
    name = "qwen2.5-7b.q4.gguf"
    (route,) = await Router(nothing_known, responses_path="/v1/responses").routes(name)
    assert route.surface.path(name) == "/v1/responses"
    assert await keys(Router(nothing_known), "production.ai.model") == ["gateway", "gateway-chat"]


@pytest.mark.parametrize(
    "model", ["apps/my-agent", "https://my-agent-1.aws.databricksapps.com", "http://127.0.0.1:1/x"]
)
async def test_an_app_is_asked_where_the_workspace_says_that_it_is(model: str) -> None:
    asked: list[str] = []

    async def app_url(named: str) -> str:
        asked.append(named)
        return "https://an-app.databricksapps.com/responses"

    (route,) = await Router(nothing_known, app_url=app_url).routes(model)
    assert (route.surface.key, route.surface.path(model)) == ("app", "https://an-app.databricksapps.com/responses")
    assert asked == [model]


@pytest.mark.parametrize(
    "model", ["", " ", ".", "..", "apps/..", "apps/.", "a/../b", "../x", "a\\..\\b", "https://x/../y", "a\nb", "a\x00"]
)
@pytest.mark.parametrize("forced", [None, "invocations", "app"])
async def test_a_name_that_leads_to_another_path_is_refused(model: str, forced: str | None) -> None:
    with pytest.raises(BridgeError) as caught:
        await Router(nothing_known).routes(model, forced=forced)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT


async def test_the_surface_of_apps_is_nothing_for_a_model_that_is_none() -> None:
    (route,) = await Router(nothing_known).routes("@evil.example/x", forced="app")
    with pytest.raises(BridgeError, match="names no App"):
        route.surface.path("@evil.example/x")


def failure(status: int | None, reason: Reason | None = None, **more: object) -> BridgeError:
    return BridgeError(ErrorCode.INVALID_ARGUMENT, "m", "h", status=status, reason=reason, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "sure", "unsure"),
    [
        (failure(404), True, True),
        (failure(404, Reason.OBJECT_UNKNOWN), False, False),
        (failure(501), True, True),
        (failure(400, Reason.SURFACE_MISMATCH), True, True),
        (failure(400, Reason.PARAMETER_REFUSED), False, True),
        (failure(400, Reason.FEATURE_MISSING), False, True),
        (failure(500, Reason.MODEL_FAILED), False, True),
        (failure(400, Reason.CONTEXT_TOO_LONG), False, False),
        (failure(400), False, False),
        (failure(429, Reason.PARAMETER_REFUSED), False, False),
        (failure(401, Reason.PARAMETER_REFUSED), False, False),
        (failure(None, Reason.PARAMETER_REFUSED), False, False),
        (failure(404, partial={"text": "paid for"}), False, False),
    ],
)
async def test_only_reasons_of_a_wrong_surface_lead_to_another(error: BridgeError, sure: bool, unsure: bool) -> None:
    surface = SURFACES["responses"]
    assert is_wrong_route(error, Route(surface, "", "listed")) is sure
    assert is_wrong_route(error, Route(surface, "", "guessed")) is unsure


def test_the_setting_names_the_surfaces_that_there_are() -> None:
    assert set(SURFACE_NAMES) == set(CHOICES) - {"app"}
