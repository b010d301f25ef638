"""The Unity Gateway, and the listings that tell which model serves what."""

import json
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from oracle import openai_spec

pytestmark = pytest.mark.anyio

NATIVE = "/ai-gateway/openai/v1"
CODEX = "/ai-gateway/codex/v1"
UNIFIED = "/ai-gateway/mlflow/v1"
FOUNDATION = "/api/2.0/serving-endpoints:foundation-models"
SERVICES = "/api/2.1/unity-catalog/model-services"
HI: Any = [{"role": "user", "content": "[[say Hi]]"}]

At = Callable[[str], AsyncOpenAI]


@pytest.fixture
def at(emulator: RunningEmulator) -> At:
    """The official client with a base URL in the workspace."""

    def client(base: str) -> AsyncOpenAI:
        plain = DefaultAsyncHttpxClient(verify=False)
        return AsyncOpenAI(api_key=emulator.token, base_url=emulator.host + base, max_retries=0, http_client=plain)

    return client


@pytest.mark.parametrize("base", [NATIVE, CODEX])
@pytest.mark.parametrize("model", ["system.ai.gpt-5", "databricks-gpt-5", "system.ai.grok-4-7"])
async def test_native_responses_know_models_by_both_names(
    at: At, emulator: RunningEmulator, base: str, model: str
) -> None:
    async with at(base) as client:
        whole = await client.responses.create(model=model, input="[[say Hi]]")
        stream = await client.responses.create(model=model, input="[[say Hi]]", stream=True)
        last = [event async for event in stream][-1]
    openai_spec.validate_response(whole.to_dict(mode="json"))
    assert (whole.output_text, last.type) == ("Hi", "response.completed")
    assert {exchange.path for exchange in emulator.state.request_log.exchanges} == {f"{base}/responses"}


async def test_only_the_codex_path_takes_store_false(http: httpx.AsyncClient) -> None:
    body = {"model": "system.ai.gpt-5", "input": "Hi", "store": False}
    assert [(await http.post(f"{base}/responses", json=body)).status_code for base in (CODEX, NATIVE)] == [200, 400]


INNER: Any = {"type": "function", "name": "wait", "parameters": {"type": "object", "properties": {}}}
GROUP: Any = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [INNER]}


async def test_the_codex_path_takes_metadata_and_calls_tools_of_a_namespace(http: httpx.AsyncClient) -> None:
    plain = {**INNER, "name": "other"}
    body: dict[str, Any] = {
        "model": "system.ai.gpt-5",
        "input": [{"role": "user", "content": "Do wait."}],
        "client_metadata": {"session_id": "1"},
        "tools": [plain, GROUP],
    }
    first = (await http.post(f"{CODEX}/responses", json=body)).json()
    [call] = first["output"]
    assert (call["type"], call["name"], call["namespace"]) == ("function_call", "wait", "agents")
    assert [tool["type"] for tool in first["tools"]] == ["function", "namespace"]
    said = [*body["input"], call]
    said.append({"type": "function_call_output", "call_id": call["call_id"], "output": "Done"})
    second = (await http.post(f"{CODEX}/responses", json={**body, "input": said})).json()
    assert "wait gave: Done" in second["output"][0]["content"][0]["text"]
    # On the other paths both are refused.
    for extra in ({"client_metadata": {}}, {"tools": [GROUP]}):
        refused = await http.post(f"{NATIVE}/responses", json={"model": "system.ai.gpt-5", "input": "Hi", **extra})
        assert refused.status_code == 400


@pytest.mark.parametrize(
    "extra",
    [
        {"client_metadata": "x"},
        {"client_metadata": {"a": 1}},
        {"store": True},
        {"tools": "namespace"},
        {"tools": ["namespace"]},
        {"tools": [{"type": "namespace"}]},
        {"tools": [{**GROUP, "tools": []}]},
        {"tools": [{**GROUP, "tools": [GROUP]}]},
        {"tools": [{**GROUP, "tools": [INNER, INNER]}]},
        {"tools": [{**GROUP, "tools": [{**INNER, "name": ""}]}]},
        {"tools": [{**GROUP, "name": "a b"}]},
        {"tools": [{"type": None}]},
    ],
)
async def test_what_codex_would_not_send_is_refused(http: httpx.AsyncClient, extra: dict[str, Any]) -> None:
    answer = await http.post(f"{CODEX}/responses", json={"model": "system.ai.gpt-5", "input": "Hi", **extra})
    assert (answer.status_code, sorted(answer.json())) == (400, ["error_code", "message"])


async def test_unified_chat_serves_every_maker_and_native_chat_openai_alone(at: At) -> None:
    async with at(UNIFIED) as unified, at(NATIVE) as native:
        for model in ("system.ai.claude-sonnet-4-5", "databricks-gpt-5", "system.ai.meta-llama-3-1-8b-instruct"):
            answer = await unified.chat.completions.create(model=model, messages=HI)
            assert answer.choices[0].message.content == "Hi"
        answer = await native.chat.completions.create(model="system.ai.gpt-5", messages=HI)
        stream = await unified.chat.completions.create(model="system.ai.gpt-5", messages=HI, stream=True)
        text = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
    assert (answer.choices[0].message.content, "".join(text)) == ("Hi", "Hi")


async def test_the_gateway_refuses_in_its_own_words(http: httpx.AsyncClient) -> None:
    question = {"input": "Hi", "messages": HI}
    asked = {
        "claude, natively": (f"{NATIVE}/responses", "system.ai.claude-sonnet-4-5"),
        "codex, by native chat": (f"{NATIVE}/chat/completions", "databricks-gpt-5-3-codex"),
        "codex, by unified chat": (f"{UNIFIED}/chat/completions", "system.ai.gpt-5-3-codex"),
        "the vendor's name": (f"{NATIVE}/responses", "gpt-5.3-codex"),
        "an unknown name": (f"{NATIVE}/responses", "databricks-gpt-99"),
        "an external model": (f"{NATIVE}/responses", "my-openai-external"),
        "the Supervisor": (f"{UNIFIED}/responses", "system.ai.gpt-5"),
        "one that is not up": (f"{UNIFIED}/chat/completions", "system.ai.gpt-oss-20b"),
    }
    answers = {}
    for name, (path, model) in asked.items():
        field = "messages" if "chat" in path else "input"
        answers[name] = await http.post(path, json={"model": model, field: question[field]})
    answers["a listing"] = await http.get(f"{NATIVE}/models")
    answers["a listing for Codex"] = await http.get(f"{CODEX}/models")
    assert {
        name: textwrap.wrap(f"{answer.status_code} {' '.join(answer.json().values())}", 96)
        for name, answer in answers.items()
    } == snapshot(
        {
            "claude, natively": [
                "400 BAD_REQUEST API type 'openai/v1/responses' is not supported by 'databricks-claude-",
                "sonnet-4-5'. Supported API types: [anthropic/v1/messages, mlflow/v1/responses,",
                "mlflow/v1/chat/completions]",
            ],
            "codex, by native chat": [
                "400 BAD_REQUEST API type 'openai/v1/chat/completions' is not supported by 'databricks-",
                "gpt-5-3-codex'. Supported API types: [openai/v1/responses, cursor/v1/chat/completions]",
            ],
            "codex, by unified chat": [
                "400 BAD_REQUEST API type 'mlflow/v1/chat/completions' is not supported by 'databricks-",
                "gpt-5-3-codex'. Supported API types: [openai/v1/responses, cursor/v1/chat/completions]",
            ],
            "the vendor's name": ["404 RESOURCE_DOES_NOT_EXIST 'system.ai.gpt-5-3-codex' does not exist"],
            "an unknown name": ["404 RESOURCE_DOES_NOT_EXIST 'system.ai.gpt-99' does not exist"],
            "an external model": ["404 RESOURCE_DOES_NOT_EXIST 'system.ai.my-openai-external' does not exist"],
            "the Supervisor": ["404 FEATURE_DISABLED Supervisor API is not enabled"],
            "one that is not up": [
                "503 TEMPORARILY_UNAVAILABLE The endpoint 'databricks-gpt-oss-20b' is not ready yet. Please try",
                "again later.",
            ],
            "a listing": [
                "400 BAD_REQUEST Request path /ai-gateway/openai/v1/models doesn't match any known API type."
            ],
            "a listing for Codex": ["404 ENDPOINT_NOT_FOUND codex/v1/models is not enabled for this workspace."],
        }
    )


async def test_tags_are_in_the_journal_and_have_to_be_json(http: httpx.AsyncClient, emulator: RunningEmulator) -> None:
    body, name = {"model": "system.ai.gpt-5", "input": "Hi"}, "Databricks-Ai-Gateway-Request-Tags"
    tags = [json.dumps({"team": "search"}), "team=search", '["team"]', '{"team": 1}']
    statuses = [(await http.post(f"{NATIVE}/responses", json=body, headers={name: tag})).status_code for tag in tags]
    assert statuses == [200, 400, 400, 400]
    assert emulator.state.request_log.exchanges[0].request_tags == {"team": "search"}
    await http.post(f"{NATIVE}/responses", json=body)
    assert emulator.state.request_log.exchanges[-1].request_tags is None


async def test_a_workspace_without_a_gateway_answers_501_on_all_its_paths(
    http: httpx.AsyncClient, emulator: RunningEmulator
) -> None:
    emulator.state.switches.gateway = False
    body = {"model": "system.ai.gpt-5", "input": "Hi"}
    paths = [f"{base}/responses" for base in (NATIVE, CODEX, UNIFIED)] + [f"{UNIFIED}/chat/completions"]
    answers = [await http.post(path, json=body) for path in paths]
    assert {(answer.status_code, answer.json()["error_code"]) for answer in answers} == {(501, "NOT_IMPLEMENTED")}
    assert (await http.get("/api/ai-gateway/v2/endpoints")).status_code == 404
    emulator.state.switches.gateway = True
    assert (await http.get("/api/ai-gateway/v2/endpoints")).json() == {"endpoints": []}


async def test_the_supervisor_can_be_turned_on_and_echoes_the_whole_conversation(
    at: At, http: httpx.AsyncClient, emulator: RunningEmulator
) -> None:
    emulator.state.switches.supervisor = True
    async with at(UNIFIED) as client:
        answer = await client.responses.create(model="system.ai.claude-sonnet-4-5", input=HI)
    assert [getattr(item, "role", None) for item in answer.output] == ["user", "assistant"]
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    body = {"model": "system.ai.claude-sonnet-4-5", "input": HI, "tools": [tool], "temperature": 0.5}
    assert (await http.post(f"{UNIFIED}/responses", json=body)).status_code == 400


async def test_a_workspace_that_has_moved_knows_the_old_names_on_the_gateway_alone(
    http: httpx.AsyncClient, emulator: RunningEmulator
) -> None:
    emulator.state.switches.legacy_names = False
    bodies = [
        ("/serving-endpoints/responses", {"model": "databricks-gpt-5", "input": "Hi"}),
        ("/serving-endpoints/chat/completions", {"model": "databricks-gpt-5", "messages": HI}),
        ("/serving-endpoints/databricks-gpt-5/invocations", {"messages": HI}),
        (f"{NATIVE}/responses", {"model": "databricks-gpt-5", "input": "Hi"}),
        (f"{NATIVE}/responses", {"model": "system.ai.gpt-5", "input": "Hi"}),
        ("/serving-endpoints/responses", {"model": "my-openai-external", "input": "Hi"}),
    ]
    answers = [await http.post(path, json=body) for path, body in bodies]
    assert [answer.status_code for answer in answers] == [501, 501, 501, 200, 200, 200]
    assert answers[0].json()["message"] == snapshot(
        "'databricks-gpt-5' is no longer available. Use Unity Catalog model services (v3)."
    )


async def test_a_model_service_that_somebody_made_routes_its_requests_and_falls_back(
    at: At, http: httpx.AsyncClient, emulator: RunningEmulator
) -> None:
    async with at(NATIVE) as native, at(UNIFIED) as unified:
        first = await native.responses.create(model="production.ai.frontier-model", input="[[say Hi]]")
        emulator.state.endpoints["databricks-gpt-5-1"] = replace(
            emulator.state.endpoints["databricks-gpt-5-1"], ready=False
        )
        second = await native.responses.create(model="production.ai.frontier-model", input="[[say Hi]]")
        split = [await unified.chat.completions.create(model="production.ai.writer", messages=HI) for _ in range(4)]
    assert [answer.output_text for answer in (first, second)] == ["Hi", "Hi"]
    assert [answer.choices[0].message.content for answer in split] == ["Hi"] * 4
    frontier, writer = (emulator.state.services[f"production.ai.{name}"] for name in ("frontier-model", "writer"))
    assert frontier.route(7) == ("databricks-gpt-5-1", "databricks-gpt-5")
    assert Counter(writer.route(number)[0] for number in range(8)) == {
        "databricks-claude-sonnet-4-5": 6,
        "databricks-meta-llama-3-3-70b-instruct": 2,
    }
    assert emulator.state.routed == {"production.ai.frontier-model": 2, "production.ai.writer": 4}
    refused = await http.post(f"{NATIVE}/responses", json={"model": "production.ai.writer", "input": "Hi"})
    unknown = await http.post(f"{NATIVE}/responses", json={"model": "production.ai.none", "input": "Hi"})
    assert [(one.status_code, one.json()["message"]) for one in (refused, unknown)] == snapshot(
        [
            (
                400,
                (
                    "API type 'openai/v1/responses' is not supported by 'production.ai.writer'. "
                    "Supported API types: [mlflow/v1/responses, mlflow/v1/chat/completions]"
                ),
            ),
            (404, "'production.ai.none' does not exist"),
        ]
    )
    listed = (await http.get(SERVICES, params={"parent": "schemas/production.ai"})).json()
    assert listed == snapshot(
        {
            "model_services": [
                {
                    "name": "model-services/production.ai.frontier-model",
                    "comment": "GPT-5.1, or GPT-5 when it is not up",
                    "effective_owner": "someone@example.com",
                    "supported_api_types": [
                        "openai/v1/responses",
                        "mlflow/v1/responses",
                        "mlflow/v1/chat/completions",
                        "openai/v1/chat/completions",
                    ],
                },
                {
                    "name": "model-services/production.ai.writer",
                    "comment": "Claude and Llama, three requests to one",
                    "effective_owner": "someone@example.com",
                    "supported_api_types": ["mlflow/v1/responses", "mlflow/v1/chat/completions"],
                },
            ]
        }
    )
    assert (await http.get(f"{SERVICES}/research.models.draft")).json()["comment"] == "GPT-5 mini"


async def test_an_api_key_header_is_no_credential(emulator: RunningEmulator) -> None:
    async with httpx.AsyncClient(
        base_url=emulator.host, headers={"api-key": emulator.token}, verify=False, timeout=DEADLINE_SECONDS
    ) as client:
        assert (await client.post(f"{NATIVE}/responses", json={})).status_code == 401


async def test_foundation_models_are_listed_with_the_apis_that_serve_them(
    http: httpx.AsyncClient, emulator: RunningEmulator
) -> None:
    listed = (await http.get(FOUNDATION)).json()["endpoints"]
    entities = {one["name"]: one["config"]["served_entities"][0]["foundation_model"] for one in listed}
    assert all(entity["ai_gateway_v2_supported"] for entity in entities.values())
    chosen = ("gpt-5", "gpt-5-3-codex", "claude-sonnet-4-5", "gemini-3-1-pro", "grok-4-7", "gte-large-en")
    assert {name: entities[f"databricks-{name}"]["api_types"] for name in chosen} == snapshot(
        {
            "gpt-5": [
                "openai/v1/responses",
                "mlflow/v1/responses",
                "mlflow/v1/chat/completions",
                "openai/v1/chat/completions",
            ],
            "gpt-5-3-codex": ["openai/v1/responses", "cursor/v1/chat/completions"],
            "claude-sonnet-4-5": ["anthropic/v1/messages", "mlflow/v1/responses", "mlflow/v1/chat/completions"],
            "gemini-3-1-pro": ["gemini/v1/generateContent", "mlflow/v1/responses", "mlflow/v1/chat/completions"],
            "grok-4-7": ["openai/v1/responses", "mlflow/v1/responses", "mlflow/v1/chat/completions"],
            "gte-large-en": ["mlflow/v1/embeddings"],
        }
    )
    emulator.state.switches.foundation_models = False
    missing = await http.get(FOUNDATION)
    assert (missing.status_code, missing.json()) == snapshot(
        (
            404,
            {
                "error_code": "ENDPOINT_NOT_FOUND",
                "message": "No API found for 'GET /api/2.0/serving-endpoints:foundation-models'",
            },
        )
    )


async def test_model_services_are_listed_page_by_page(http: httpx.AsyncClient, emulator: RunningEmulator) -> None:
    parent = {"parent": "schemas/system.ai"}
    names, token, pages = [], None, 0
    while pages == 0 or token:
        query = parent | {"page_size": "7"} | ({"page_token": token} if token else {})
        page = (await http.get(SERVICES, params=query)).json()
        names += [service["name"] for service in page["model_services"]]
        token, pages = page.get("next_page_token"), pages + 1
    models = [endpoint for endpoint in emulator.state.endpoints.values() if endpoint.kind == "foundation"]
    assert (names, pages) == ([f"model-services/{model.service_name}" for model in models], 5)
    first = (await http.get(SERVICES, params=parent)).json()
    assert "next_page_token" in first
    assert (
        (await http.get(f"{SERVICES}/system.ai.gpt-5")).json()
        == first["model_services"][0]
        == snapshot(
            {
                "name": "model-services/system.ai.gpt-5",
                "comment": "GPT-5",
                "owner": "System user",
                "supported_api_types": [
                    "openai/v1/responses",
                    "mlflow/v1/responses",
                    "mlflow/v1/chat/completions",
                    "openai/v1/chat/completions",
                ],
            }
        )
    )


async def test_model_services_say_no(http: httpx.AsyncClient, emulator: RunningEmulator) -> None:
    asked: dict[str, dict[str, str]] = {
        "no schema and no page size": {},
        "too large a page": {"page_size": "201"},
        "a page that is none": {"parent": "schemas/system.ai", "page_size": "-1"},
        "a token that is none": {"parent": "schemas/system.ai", "page_token": "nonsense"},
        "every schema": {"page_size": "5"},
    }
    statuses = {name: (await http.get(SERVICES, params=query)).status_code for name, query in asked.items()}
    statuses["an unknown service"] = (await http.get(f"{SERVICES}/system.ai.none")).status_code
    empty = (await http.get(SERVICES, params={"parent": "schemas/main.default"})).json()
    emulator.state.switches.model_services = False
    statuses["turned off"] = (await http.get(SERVICES, params={"page_size": "5"})).status_code
    assert (statuses, empty) == snapshot(
        (
            {
                "no schema and no page size": 499,
                "too large a page": 499,
                "a page that is none": 400,
                "a token that is none": 400,
                "every schema": 200,
                "an unknown service": 404,
                "turned off": 404,
            },
            {"model_services": []},
        )
    )
