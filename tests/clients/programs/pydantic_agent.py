"""Pydantic AI: an answer, a stream, a tool, and an answer of a type, on the Responses API and on chat completions."""

import asyncio
import json
import os

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

NOT_STRICT = OpenAIModelProfile(openai_supports_strict_tool_definition=False)
"""Databricks refuses ``strict`` in the tools of models that are not OpenAI's."""


class Place(BaseModel):
    """What a typed answer is to hold."""

    city: str


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return "Sunny"


async def main() -> None:
    provider = OpenAIProvider(
        base_url=f"{os.environ['DATABRICKS_HOST']}/serving-endpoints", api_key=os.environ["DATABRICKS_TOKEN"]
    )
    models = {
        "responses": OpenAIResponsesModel("databricks-gpt-5", provider=provider),
        "chat": OpenAIChatModel("databricks-claude-sonnet-4-5", provider=provider, profile=NOT_STRICT),
    }
    results = {}
    for surface, model in models.items():
        plain = Agent(model)
        answer = await plain.run("[[say Hello]]")
        async with plain.run_stream("[[words 20]]") as streamed:
            texts = [text async for text in streamed.stream_text(debounce_by=None)]
        with_tool = await Agent(model, tools=[weather]).run("Rome?")
        typed = await Agent(model, output_type=Place).run("Rome?")
        results[surface] = {
            "ask": answer.output,
            "stream": [texts[-1].split()[-1], len(texts) > 2],
            "tools": with_tool.output,
            "typed": type(typed.output).__name__,
            "usage": [answer.usage.output_tokens, with_tool.usage.requests],
        }
    print(json.dumps(results))


asyncio.run(main())
