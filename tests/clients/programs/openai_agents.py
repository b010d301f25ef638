"""OpenAI's agents SDK: an answer, a stream, a tool, a hand-over to another agent, and a typed answer."""

import asyncio
import json
import os

from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel

set_tracing_disabled(True)


class Place(BaseModel):
    """What a typed answer is to hold."""

    city: str


@function_tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return "Sunny"


async def main() -> None:
    client = AsyncOpenAI(base_url=f"{os.environ['DATABRICKS_HOST']}/serving-endpoints", max_retries=0)
    model = OpenAIResponsesModel(model="databricks-gpt-5", openai_client=client)
    plain = Agent(name="Plain", instructions="Be brief.", model=model)
    answer = await Runner.run(plain, "[[say Hello]]")
    streamed = Runner.run_streamed(plain, "[[words 20]]")
    deltas = [
        event.data.delta
        async for event in streamed.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    with_tool = await Runner.run(Agent(name="Weather", model=model, tools=[weather]), "Rome?")
    over = await Runner.run(Agent(name="Desk", model=model, handoffs=[plain]), "[[say Hello]]")
    typed = await Runner.run(Agent(name="Typed", model=model, output_type=Place), "Rome?")
    result = {
        "ask": answer.final_output,
        "usage": answer.context_wrapper.usage.requests,
        "stream": ["".join(deltas) == streamed.final_output, len(deltas) > 2],
        "tools": with_tool.final_output,
        "handoff": [over.last_agent.name, over.final_output],
        "typed": type(typed.final_output).__name__,
    }
    print(json.dumps(result))


asyncio.run(main())
