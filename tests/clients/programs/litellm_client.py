"""LiteLLM's provider ``databricks``: chat with Claude and the Responses API with GPT."""

import json
import os

import litellm

litellm.suppress_debug_info = True

SETTINGS = {"api_base": f"{os.environ['DATABRICKS_HOST']}/serving-endpoints", "api_key": os.environ["DATABRICKS_TOKEN"]}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}


def chat() -> dict[str, object]:
    model = "databricks/databricks-claude-sonnet-4-5"
    said = [{"role": "user", "content": "[[say Hello]]"}]
    answer = litellm.completion(model=model, messages=said, **SETTINGS)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    said = [{"role": "user", "content": "[[words 20]]"}]
    chunks = list(litellm.completion(model=model, messages=said, **options, **SETTINGS))
    built = litellm.stream_chunk_builder(chunks)
    said = [{"role": "user", "content": "Rome?"}]
    called = litellm.completion(model=model, messages=said, tools=[WEATHER], **SETTINGS).choices[0].message
    said += [called.model_dump(exclude_none=True)]
    said += [{"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "Sunny"}]
    told = litellm.completion(model=model, messages=said, tools=[WEATHER], **SETTINGS)
    return {
        "ask": answer.choices[0].message.content,
        "stream": [built.choices[0].message.content.split()[-1], built.choices[0].finish_reason],
        "usage": built.usage.completion_tokens,
        "tools": told.choices[0].message.content,
    }


def responses() -> dict[str, object]:
    model = "databricks/databricks-gpt-5"
    answer = litellm.responses(model=model, input="[[say Hello]]", **SETTINGS)
    events = [str(event.type) for event in litellm.responses(model=model, input="Hi", stream=True, **SETTINGS)]
    tool = {"type": "function", "name": "weather", "parameters": PARAMETERS}
    said = [{"role": "user", "content": "Rome?"}]
    called = litellm.responses(model=model, input=said, tools=[tool], **SETTINGS).output[-1]
    call = {"type": "function_call", "call_id": called.call_id, "name": called.name, "arguments": called.arguments}
    said += [call, {"type": "function_call_output", "call_id": called.call_id, "output": "Sunny"}]
    told = litellm.responses(model=model, input=said, tools=[tool], **SETTINGS)
    return {
        "ask": answer.output_text,
        "stream": [events[0].rpartition(".")[2], events[-1].rpartition(".")[2]],
        "tools": told.output_text,
    }


print(json.dumps({"chat": chat(), "responses": responses()}))
