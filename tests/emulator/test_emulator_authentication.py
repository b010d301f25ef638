"""Who comes in, what is listed, what other paths say, and the surfaces beside the Responses API."""

import base64
import json
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot
from openai import AsyncOpenAI

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from oracle import openai_spec

pytestmark = pytest.mark.anyio

RESPONSES = "/serving-endpoints/responses"


def basic(user: str, password: str) -> str:
    """A Basic credential."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_only_a_bearer_token_or_basic_with_user_token_is_accepted(emulator: RunningEmulator) -> None:
    token = emulator.token
    credentials = {
        "bearer": f"Bearer {token}",
        "lower case": f"bearer {token}",
        "basic": basic("token", token),
        "nothing": "",
        "wrong token": "Bearer dapi-wrong",
        "wrong basic": basic("token", "wrong"),
        "basic as a person": basic("someone@example.com", token),
        "basic that is not base64": "Basic ***",
        "another scheme": f"Digest {token}",
    }
    answers: dict[str, Any] = {}
    async with httpx.AsyncClient(verify=False, timeout=DEADLINE_SECONDS, base_url=emulator.host) as client:
        for name, credential in credentials.items():
            headers = {"authorization": credential} if credential else {"api-key": token}
            response = await client.get("/api/2.0/serving-endpoints", headers=headers)
            answers[name] = [response.status_code, *(response.json() if response.is_error else {}).values()]
    assert answers == snapshot(
        {
            "bearer": [200],
            "lower case": [200],
            "basic": [200],
            "nothing": [401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."],
            "wrong token": [403, "PERMISSION_DENIED", "Invalid Token"],
            "wrong basic": [403, "PERMISSION_DENIED", "Invalid Token"],
            "basic as a person": [
                401,
                "UNAUTHENTICATED",
                "Credential was not sent or was of an unsupported type for this API.",
            ],
            "basic that is not base64": [
                401,
                "UNAUTHENTICATED",
                "Credential was not sent or was of an unsupported type for this API.",
            ],
            "another scheme": [
                401,
                "UNAUTHENTICATED",
                "Credential was not sent or was of an unsupported type for this API.",
            ],
        }
    )


async def test_the_catalogue_has_one_of_each_kind(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/api/2.0/serving-endpoints")).json()["endpoints"]
    assert {one["name"]: [one["task"], one["state"]["ready"]] for one in listed} == snapshot(
        {
            "databricks-gpt-5": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-mini": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-nano": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-1": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-2": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-3-codex": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-4": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-4-mini": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-5": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-5-pro": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-6-sol": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-6-terra": ["llm/v1/chat", "READY"],
            "databricks-gpt-5-6-luna": ["llm/v1/chat", "READY"],
            "databricks-gpt-6-astra": ["llm/v1/chat", "READY"],
            "databricks-gpt-6-sol": ["llm/v1/chat", "READY"],
            "databricks-gpt-6-luna": ["llm/v1/chat", "READY"],
            "databricks-gpt-6-1-sol": ["llm/v1/chat", "READY"],
            "databricks-claude-sonnet-4-5": ["llm/v1/chat", "READY"],
            "databricks-meta-llama-3-3-70b-instruct": ["llm/v1/chat", "READY"],
            "databricks-gpt-oss-120b": ["llm/v1/chat", "READY"],
            "databricks-gpt-oss-20b": ["llm/v1/chat", "NOT_READY"],
            "databricks-gte-large-en": ["llm/v1/embeddings", "READY"],
            "my-openai-external": ["llm/v1/chat", "READY"],
            "my-anthropic-external": ["llm/v1/chat", "READY"],
            "my-support-agent": ["agent/v1/responses", "READY"],
            "databricks-claude-opus-5": ["llm/v1/chat", "READY"],
            "databricks-claude-fable-5-1": ["llm/v1/chat", "READY"],
            "databricks-gemini-3-1-pro": ["llm/v1/chat", "READY"],
            "databricks-gemini-3-8-flash": ["llm/v1/chat", "READY"],
            "databricks-glm-5-3": ["llm/v1/chat", "READY"],
            "databricks-kimi-k3": ["llm/v1/chat", "READY"],
            "databricks-gemini-3-1-flash-image": ["llm/v1/chat", "READY"],
            "databricks-qwen3-next-80b-a3b-instruct": ["llm/v1/chat", "READY"],
            "databricks-meta-llama-3-1-8b-instruct": ["llm/v1/chat", "READY"],
            "databricks-grok-4-7": ["llm/v1/chat", "READY"],
            "my-azure-openai-external": ["llm/v1/chat", "READY"],
            "my-supervisor-agent": ["agent/v1/responses", "READY"],
            "my-chat-agent": ["agent/v2/chat", "READY"],
            "my-old-chat-agent": ["agent/v1/chat", "READY"],
        }
    )
    chosen = ("databricks-gpt-5", "my-openai-external", "my-support-agent")
    assert [one for one in listed if one["name"] in chosen] == snapshot(
        [
            {
                "name": "databricks-gpt-5",
                "creation_timestamp": 1757000000000,
                "last_updated_timestamp": 1757000000000,
                "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
                "config": {
                    "served_entities": [
                        {
                            "name": "databricks-gpt-5",
                            "entity_name": "system.ai.gpt-5",
                            "entity_version": "1",
                            "foundation_model": {
                                "name": "system.ai.gpt-5",
                                "display_name": "GPT-5",
                                "description": "GPT-5, as the embedded workspace plays it.",
                                "docs": "https://docs.databricks.com/machine-learning/foundation-model-apis/supported-models",
                                "ai_gateway_v2_supported": True,
                                "api_types": [
                                    "openai/v1/responses",
                                    "mlflow/v1/responses",
                                    "mlflow/v1/chat/completions",
                                    "openai/v1/chat/completions",
                                ],
                            },
                        }
                    ]
                },
                "tags": [],
                "task": "llm/v1/chat",
                "endpoint_type": "FOUNDATION_MODEL_API",
            },
            {
                "name": "my-openai-external",
                "creation_timestamp": 1757000000000,
                "last_updated_timestamp": 1757000000000,
                "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
                "config": {
                    "served_entities": [
                        {
                            "name": "gpt-5",
                            "external_model": {"name": "gpt-5", "provider": "openai", "task": "llm/v1/chat"},
                        }
                    ]
                },
                "tags": [{"key": "environment", "value": "embedded"}],
                "task": "llm/v1/chat",
                "id": "6d792d6f70656e61692d65787465726e",
                "creator": "someone@example.com",
            },
            {
                "name": "my-support-agent",
                "creation_timestamp": 1757000000000,
                "last_updated_timestamp": 1757000000000,
                "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
                "config": {
                    "served_entities": [
                        {
                            "name": "support_agent",
                            "entity_name": "main.agents.support_agent",
                            "entity_version": "3",
                            "workload_size": "Small",
                            "scale_to_zero_enabled": True,
                        }
                    ]
                },
                "tags": [{"key": "environment", "value": "embedded"}],
                "task": "agent/v1/responses",
                "id": "6d792d737570706f72742d6167656e74",
                "creator": "someone@example.com",
            },
        ]
    )


async def test_one_endpoint_is_shown_with_its_permission_and_an_unknown_one_is_not_found(
    http: httpx.AsyncClient,
) -> None:
    shown = (await http.get("/api/2.0/serving-endpoints/databricks-gpt-5")).json()
    assert (shown["name"], shown["permission_level"]) == ("databricks-gpt-5", "CAN_QUERY")
    missing = await http.get("/api/2.0/serving-endpoints/nope")
    assert (missing.status_code, missing.json()) == snapshot(
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Endpoint with name 'nope' does not exist."})
    )


async def test_unknown_paths_and_methods_say_so_as_databricks_does(http: httpx.AsyncClient) -> None:
    asked = [
        ("GET", "/.well-known/databricks-config"),
        ("POST", "/v1/responses"),
        ("GET", "/serving-endpoints/responses"),
    ]
    answers = [(await http.request(method, path)) for method, path in asked]
    assert [(answer.status_code, *". ".join(answer.json().values()).split(". ")) for answer in answers] == snapshot(
        [
            (
                404,
                "RESOURCE_DOES_NOT_EXIST",
                "No API at /.well-known/databricks-config",
                "Path must be of form /serving-endpoints/<endpoint_name>/invocations",
            ),
            (
                404,
                "RESOURCE_DOES_NOT_EXIST",
                "No API at /v1/responses",
                "Path must be of form /serving-endpoints/<endpoint_name>/invocations",
            ),
            (405, "BAD_REQUEST", "Method GET is not allowed on this path."),
        ]
    )


async def test_the_well_known_path_answers_before_anybody_has_a_token(emulator: RunningEmulator) -> None:
    async with httpx.AsyncClient(verify=False, timeout=DEADLINE_SECONDS, base_url=emulator.host) as client:
        assert (await client.get("/.well-known/databricks-config")).status_code == 404


@pytest.mark.slow
async def test_chat_completions_are_served_whole_and_streamed(official: AsyncOpenAI) -> None:
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "[[words 30]]"}]
    model = "databricks-claude-sonnet-4-5"
    raw = await official.chat.completions.with_raw_response.create(model=model, messages=messages, max_tokens=10)
    whole = raw.http_response.json()
    openai_spec.validate_chat_completion(whole)
    assert (whole["choices"][0]["message"]["content"], whole["choices"][0]["finish_reason"]) == snapshot(
        ("word1 word2 word3 word4 word5 word6 word7 word8 word9 word10", "length")
    )
    text = ""
    async for chunk in await official.chat.completions.create(model=model, messages=messages, stream=True):
        openai_spec.validate_chat_chunk(chunk.to_dict(mode="json"))
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert text.split()[-1] == "word30"


async def test_a_codex_model_sends_chat_away_and_chat_takes_no_responses_fields(http: httpx.AsyncClient) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    bodies: list[dict[str, Any]] = [
        {"model": "databricks-gpt-5-3-codex", "messages": messages},
        {"model": "databricks-gpt-5", "messages": messages, "store": False},
        {"model": "databricks-gpt-5", "messages": []},
        {"model": "databricks-gpt-5", "messages": [{"role": "user", "content": [{"type": "input_text"}]}]},
    ]
    answers = [await http.post("/serving-endpoints/chat/completions", json=body) for body in bodies]
    assert [(answer.status_code, *answer.json()["message"].split(". ")) for answer in answers] == snapshot(
        [
            (
                400,
                "Model databricks-gpt-5-3-codex only supports the Responses API",
                "Please use /serving-endpoints/responses instead.",
            ),
            (400, "store: Extra inputs are not permitted"),
            (400, "Invalid parameter 'messages': List should have at least 1 item after validation, not 0."),
            (
                400,
                "Invalid parameter 'messages[0].content[0]': Expected a part of type text or image_url.",
            ),
        ]
    )


async def test_an_agent_speaks_its_own_dialect(http: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"model": "my-support-agent", "input": [{"role": "user", "content": "[[say Hello there]]"}]}
    whole = (await http.post("/serving-endpoints/responses", json=body)).json()
    whole["output"][0]["id"] = "…"
    streamed = await http.post("/serving-endpoints/my-support-agent/invocations", json={**body, "stream": True})
    lines = [line.removeprefix("data: ") for line in streamed.text.split("\n") if line]
    text = await http.post("/serving-endpoints/responses", json={**body, "input": "Hi"})
    assert whole == snapshot(
        {
            "object": "response",
            "output": [
                {
                    "type": "message",
                    "id": "…",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hello there"}],
                }
            ],
            "custom_outputs": None,
        }
    )
    assert [json.loads(line)["type"] for line in lines[:-1]] == snapshot(
        ["response.output_text.delta", "response.output_text.delta", "response.output_item.done"]
    )
    assert lines[-1] == "[DONE]"
    assert text.status_code == 400


async def test_chat_by_invocations_names_the_endpoint_in_the_path(http: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": "[[say Hi]]"}]}
    answer = await http.post("/serving-endpoints/databricks-gpt-oss-120b/invocations", json=body)
    content = answer.json()["choices"][0]["message"]["content"]
    assert [part["type"] for part in content] == ["reasoning", "text"]
    assert content[1]["text"] == "Hi"
