"""``ChatDatabricks``: chat and Responses, streamed with usage, with a tool, and with structured output."""

import json

from databricks_langchain import ChatDatabricks
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel


class Place(BaseModel):
    """A place."""

    city: str


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return "Sunny"


def loop(llm):
    bound = llm.bind_tools([weather])
    said = [HumanMessage("Rome?")]
    called = bound.invoke(said)
    call = called.tool_calls[0]
    return bound.invoke([*said, called, ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])])


def main():
    results = {}
    for name, llm in (
        ("chat", ChatDatabricks(endpoint="databricks-claude-sonnet-4-5")),
        ("responses", ChatDatabricks(endpoint="databricks-gpt-5", use_responses_api=True)),
    ):
        answer = llm.invoke("[[say Hello]]")
        chunks = list(llm.stream("[[words 20]]"))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole = whole + chunk
        results[name] = {
            "ask": answer.text,
            "usage": answer.usage_metadata["output_tokens"],
            "stream": [whole.text.split()[-1], len(chunks) > 2],
            "tools": loop(llm).text,
        }
    typed = ChatDatabricks(endpoint="databricks-claude-sonnet-4-5").with_structured_output(Place).invoke("Rome?")
    results["typed"] = type(typed).__name__
    print(json.dumps(results))


main()
