"""Every listing that the workspace answers counts; those that it has not are not asked for twice."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.catalog import MAX_PAGES, Catalog
from databricks_responses_mcp.workspace.discovery import Discovery
from databricks_responses_mcp.workspace.endpoints import read_entries

pytestmark = pytest.mark.anyio

ENDPOINTS = "/api/2.0/serving-endpoints"
MODELS = "/api/2.0/serving-endpoints:foundation-models"
SERVICES = "/api/2.1/unity-catalog/model-services"


class Workspace:
    """Answers paths with what it was given; an error is raised."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        schema = params["parent"].removeprefix("schemas/") if params and "parent" in params else ""
        schema = "" if schema == "system.ai" else f"@{schema}" if schema else ""
        self.asked.append(path + schema + (f"?{params['page_token']}" if params and "page_token" in params else ""))
        answer = self.answers.get(self.asked[-1], self.answers.get(path))
        if answer is None:
            raise BridgeError(ErrorCode.MODEL_NOT_FOUND, "no such path", "", status=404)
        if isinstance(answer, BridgeError):
            raise answer
        return answer


def discovery(workspace: Workspace, *schemas: str) -> Discovery:
    return Discovery(workspace.get_json, Catalog(workspace.get_json, schemas))


async def listing(workspace: Workspace, *schemas: str) -> dict[str, tuple[str, ...]]:
    payload = await discovery(workspace, *schemas).listing()
    return {endpoint.name: endpoint.profile.surfaces for endpoint in read_entries(payload["endpoints"])}


CLAUDE = {"name": "databricks-claude", "endpoint_type": "FOUNDATION_MODEL_API"}


async def test_one_listing_is_enough() -> None:
    workspace = Workspace({ENDPOINTS: {"endpoints": [CLAUDE]}})
    assert await listing(workspace) == {"databricks-claude": ("open-responses", "chat")}


@pytest.mark.parametrize(
    "models",
    [
        {"endpoints": [{"name": "databricks-claude", "api_types": ["openai/v1/responses"]}]},
        {"foundation_models": [{"name": "system.ai.claude", "api_types": ["openai/v1/responses"]}]},
        [
            {
                "name": "databricks-claude",
                "config": {"served": [{"foundation_model": {"api_types": ["openai/v1/responses"]}}]},
            }
        ],
    ],
)
async def test_the_api_types_of_another_listing_are_believed(models: Any) -> None:
    workspace = Workspace({ENDPOINTS: {"endpoints": [CLAUDE]}, MODELS: models})
    assert await listing(workspace) == {"databricks-claude": ("responses",)}


async def test_models_that_only_the_catalog_has_go_through_the_gateway() -> None:
    page = {"name": "model-services/system.ai.grok", "supported_api_types": ["openai/v1/responses"]}
    known = {"name": "model-services/system.ai.claude", "supported_api_types": ["mlflow/v1/chat/completions"]}
    workspace = Workspace(
        {
            ENDPOINTS: {"endpoints": [CLAUDE]},
            SERVICES: {"model_services": [known], "next_page_token": "2"},
            f"{SERVICES}?2": {"model_services": [page]},
        }
    )
    assert await listing(workspace) == {
        "databricks-claude": ("open-responses", "chat"),
        "system.ai.grok": ("gateway",),
    }


def service(name: str, *kinds: str) -> dict[str, Any]:
    return {"name": f"model-services/{name}", "supported_api_types": list(kinds)}


async def test_model_services_of_configured_schemas_are_listed_to_the_last_page() -> None:
    workspace = Workspace(
        {
            ENDPOINTS: {"endpoints": []},
            SERVICES: {"model_services": [service("system.ai.gpt-5", "openai/v1/responses")]},
            f"{SERVICES}@production.ai": {
                "model_services": [service("production.ai.a", "openai/v1/responses", "mlflow/v1/chat/completions")],
                "next_page_token": "2",
            },
            f"{SERVICES}@production.ai?2": {
                "model_services": [
                    service("production.ai.b", "anthropic/v1/messages"),
                    service("production.ai.c", "mlflow/v1/embeddings"),
                    service("production.ai.d", "mlflow/v1/responses"),
                    # Of another schema than was asked for, and names that lead elsewhere.
                    service("other.ai.x", "openai/v1/responses"),
                    service("production.ai.../../x", "openai/v1/responses"),
                    service("production.ai.x y", "openai/v1/responses"),
                ]
            },
        }
    )
    assert await listing(workspace, "production.ai", "production.ai") == {
        "system.ai.gpt-5": ("gateway",),
        "production.ai.a": ("gateway", "gateway-chat"),
        "production.ai.b": ("gateway-chat",),
        "production.ai.c": ("gateway-chat",),
        "production.ai.d": ("supervisor",),
    }


async def test_a_configured_schema_that_cannot_be_listed_is_told_and_asked_for_again() -> None:
    denied = BridgeError(ErrorCode.PERMISSION_DENIED, "No USE SCHEMA.", "", status=403)
    workspace = Workspace({ENDPOINTS: {"endpoints": []}, f"{SERVICES}@production.ai": denied})
    asking = discovery(workspace, "production.ai")
    for _ in range(2):
        payload = await asking.listing()
        assert payload["problems"] == ["The model-services of production.ai could not be listed: No USE SCHEMA."]
    assert workspace.asked.count(f"{SERVICES}@production.ai") == 2


async def test_a_listing_without_an_end_is_cut() -> None:
    page = {"model_services": [service("production.ai.a", "openai/v1/responses")], "next_page_token": "again"}
    workspace = Workspace(
        {
            ENDPOINTS: {"endpoints": []},
            f"{SERVICES}@production.ai": page,
            f"{SERVICES}@production.ai?again": page,
        }
    )
    payload = await discovery(workspace, "production.ai").listing()
    assert len([one for one in workspace.asked if "production.ai" in one]) == MAX_PAGES
    assert payload["problems"] == ["More than 20 pages of model-services in production.ai: the rest is not listed."]
    assert [one["name"] for one in payload["endpoints"]] == ["production.ai.a"]


async def test_a_listing_that_is_not_there_is_not_asked_for_twice() -> None:
    workspace = Workspace({ENDPOINTS: {"endpoints": []}})
    asking = discovery(workspace)
    await asking.listing()
    await asking.listing()
    assert sorted(workspace.asked) == sorted([ENDPOINTS, ENDPOINTS, MODELS, SERVICES])


async def test_a_listing_that_fails_for_now_is_asked_for_again() -> None:
    away = BridgeError(ErrorCode.UPSTREAM_UNAVAILABLE, "away", "", status=503)
    workspace = Workspace({ENDPOINTS: {"endpoints": []}, MODELS: away, SERVICES: away})
    asking = discovery(workspace)
    await asking.listing()
    await asking.listing()
    assert workspace.asked.count(MODELS) == 2


async def test_without_the_first_listing_there_is_none() -> None:
    denied = BridgeError(ErrorCode.PERMISSION_DENIED, "no", "", status=403)
    with pytest.raises(BridgeError) as caught:
        await discovery(Workspace({ENDPOINTS: denied, MODELS: []})).listing()
    assert caught.value is denied


@pytest.mark.parametrize("odd", [[], {}, {"endpoints": 3}, {"a": [1, None, {"name": 4, "api_types": "x"}]}, "text", 7])
async def test_odd_listings_break_nothing(odd: Any) -> None:
    workspace = Workspace({ENDPOINTS: {"endpoints": [CLAUDE]}, MODELS: odd, SERVICES: odd})
    assert await listing(workspace) == {"databricks-claude": ("open-responses", "chat")}


async def test_a_name_that_is_no_text_hides_no_other_endpoint() -> None:
    workspace = Workspace({ENDPOINTS: {"endpoints": [{"name": ["a"]}, {"name": {}}, None, CLAUDE]}, MODELS: []})
    payload = await discovery(workspace).listing()
    assert CLAUDE in payload["endpoints"]


async def test_a_listing_asked_for_in_the_background_takes_nothing_down_with_it() -> None:
    from databricks_responses_mcp.workspace.endpoint_directory import EndpointDirectory

    answers: list[Any] = [{"endpoints": [CLAUDE]}, TypeError("odd")]
    now = 0.0

    async def fetch() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with anyio.create_task_group() as tasks:

        def start(work: Any) -> bool:
            tasks.start_soon(work)
            return True

        directory = EndpointDirectory(fetch, 1, in_background=start, clock=lambda: now)
        first = await directory.list()
        now = 5.0
        assert await directory.list() == first
    assert not answers
    assert await directory.list() == first
