import textwrap

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.endpoints import Endpoint, read_entries
from databricks_responses_mcp.workspace.parameter_policy import check_parameters, needs_check

ASKING = {"background": True, "store": True, "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}}


def endpoint(name: str, **entity: object) -> Endpoint:
    (found,) = read_entries([{"name": name, "config": {"served_entities": [entity]}}])
    return found


PAY_PER_TOKEN = endpoint("databricks-gpt-5", foundation_model={"name": "system.ai.gpt-5"})
EXTERNAL = endpoint("databricks-lookalike", external_model={"provider": "openai", "task": "llm/v1/chat"})


def refusal(parameter: str, endpoint: Endpoint | None, name: str = "") -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        check_parameters({"temperature": 1, parameter: ASKING[parameter]}, endpoint, name=name)
    assert caught.value.code is ErrorCode.UNSUPPORTED_BY_MODEL
    return caught.value


def test_a_pay_per_token_endpoint_is_never_sent_what_it_cannot_keep() -> None:
    assert {name: textwrap.wrap(str(refusal(name, PAY_PER_TOKEN)), 90) for name in ASKING} == snapshot(
        {
            "background": [
                "databricks-gpt-5 does not accept background: a pay-per-token endpoint runs nothing in the",
                "background. Leave it out: the call streams, with progress, until it is done; an external-",
                "model endpoint (OpenAI or Azure OpenAI) accepts it.",
            ],
            "store": [
                "databricks-gpt-5 does not accept store: a pay-per-token endpoint stores no responses.",
                "Leave it out: the bridge itself stores what the next turn needs; an external-model",
                "endpoint (OpenAI or Azure OpenAI) accepts it.",
            ],
            "previous_response_id": [
                "databricks-gpt-5 does not accept previous_response_id: a pay-per-token endpoint remembers",
                "no earlier response. Leave it out and continue the conversation by the conversation_id of",
                "the earlier result: the bridge keeps the conversation itself; an external-model endpoint",
                "(OpenAI or Azure OpenAI) accepts it.",
            ],
            "conversation": [
                "databricks-gpt-5 does not accept conversation: a pay-per-token endpoint keeps no",
                "conversations. Leave it out and continue the conversation by the conversation_id of the",
                "earlier result: the bridge keeps the conversation itself; an external-model endpoint",
                "(OpenAI or Azure OpenAI) accepts it.",
            ],
        }
    )


@pytest.mark.parametrize("name", ["databricks-gpt-6-1-sol", "system.ai.gpt-5", "Databricks-GPT-5"])
@pytest.mark.parametrize("parameter", ASKING)
def test_an_endpoint_that_no_listing_knows_is_judged_by_its_name(name: str, parameter: str) -> None:
    assert name in refusal(parameter, None, name).message
    with pytest.raises(BridgeError):
        check_parameters({"model": name, parameter: ASKING[parameter]}, None)


@pytest.mark.parametrize("endpoint", [EXTERNAL, None])
def test_other_endpoints_take_everything(endpoint: Endpoint | None) -> None:
    parameters = {**ASKING, "service_tier": "priority", "store": False, "model": "my-openai"}
    assert check_parameters(parameters, endpoint) == parameters


def test_asking_for_nothing_is_the_same_as_not_asking() -> None:
    given = {"background": False, "store": False, "previous_response_id": None, "conversation": "", "top_p": 0}
    assert check_parameters(given, PAY_PER_TOKEN) == {"top_p": 0}
    assert given["store"] is False


def test_service_tier_and_unknown_parameters_pass_unchanged() -> None:
    given = {"service_tier": "priority", "truncation": "auto", "brand_new": {"a": None}}
    assert check_parameters(given, PAY_PER_TOKEN) == given


def test_the_supervisor_has_rules_of_its_own() -> None:
    given = {"background": True, "store": True, "temperature": 1}
    assert check_parameters(given, PAY_PER_TOKEN, surface="supervisor") == given
    assert not needs_check({"background": True}, "supervisor")
    for name in ("temperature", "top_p"):
        with pytest.raises(BridgeError, match=f"does not accept {name} together with tools"):
            check_parameters({name: 0, "tools": [{}]}, PAY_PER_TOKEN, surface="supervisor")
