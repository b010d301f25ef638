"""Databricks' own client: the workspace's credentials, shortened ids, the gateway, and an agent that is an app."""

import json

from databricks_openai import DatabricksOpenAI

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "weather", "parameters": PARAMETERS}


def loop(client, model):
    said = [{"role": "user", "content": "Rome?"}]
    first = client.responses.create(model=model, input=said, tools=[WEATHER], reasoning={"summary": "auto"})
    said += [item.to_dict() for item in first.output]
    said += [{"type": "function_call_output", "call_id": said[-1]["call_id"], "output": "Sunny"}]
    return client.responses.create(model=model, input=said, tools=[WEATHER])


def main():
    results = {}
    for name, client, model in (
        ("serving", DatabricksOpenAI(), "databricks-gpt-5"),
        ("gateway", DatabricksOpenAI(use_ai_gateway_native_api=True), "system.ai.gpt-5"),
    ):
        answer = client.responses.create(model=model, input="[[say Hello]]")
        kinds = [event.type for event in client.responses.create(model=model, input="Hi", stream=True)]
        told = loop(client, model)
        results[name] = {"ask": answer.output_text, "stream": [kinds[0], kinds[-1]], "tools": told.output_text}
    client = DatabricksOpenAI()
    said = [{"role": "user", "content": "[[say Hello]]"}]
    chat = client.chat.completions.create(model="databricks-claude-sonnet-4-5", messages=said)
    agent = client.responses.create(model="my-support-agent", input=said)
    results["chat"] = chat.choices[0].message.content
    results["agent"] = agent.output[0].content[0].text
    print(json.dumps(results))


main()
