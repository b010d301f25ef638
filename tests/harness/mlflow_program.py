"""An agent of MLflow's own classes. Runs in an environment with MLflow, not in the project's.

python mlflow_program.py serve PORT    an AgentServer: /responses and /invocations
python mlflow_program.py save FOLDER   a saved model, for `mlflow models serve`
"""

import sys
from collections.abc import Iterator
from typing import Any

import mlflow
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse, ResponsesAgentStreamEvent

GREETING = "Hello from an agent, and a good day to you all."


class Agent(ResponsesAgent):
    """Greets; queries its own weather service, or calls a function of its caller if there is one."""

    def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        done = [event.item for event in self.predict_stream(request) if event.type == "response.output_item.done"]
        return ResponsesAgentResponse(output=done, custom_outputs=request.custom_inputs)

    def predict_stream(self, request: ResponsesAgentRequest) -> Iterator[ResponsesAgentStreamEvent]:
        last = request.input[-1].model_dump()
        if "fail" in str(last).lower():
            raise RuntimeError("the agent has no legs to stand on")
        arguments = '{"city": "Paris"}'
        call = self.create_function_call_item(id="fc_1", call_id="call_1", name="get_weather", arguments=arguments)
        if last.get("type") == "function_call_output":
            yield from self._say("msg_2", f"It said: {last['output']}")
        elif getattr(request, "tools", None):
            yield _done(call)
        elif "weather" in str(last).lower():
            yield _done(call)
            yield _done(self.create_function_call_output_item(call_id="call_1", output="21 degrees"))
            yield from self._say("msg_2", "I asked: it is 21 degrees in Paris.")
        else:
            yield from self._say("msg_1", GREETING)

    def _say(self, name: str, text: str) -> Iterator[ResponsesAgentStreamEvent]:
        for word in text.split(" "):
            delta = word if text.startswith(word) else f" {word}"
            yield ResponsesAgentStreamEvent(**self.create_text_delta(delta=delta, item_id=name))
        yield _done(self.create_text_output_item(text=text, id=name))


def _done(item: dict[str, Any]) -> ResponsesAgentStreamEvent:
    return ResponsesAgentStreamEvent(type="response.output_item.done", item=item)


def serve(port: int) -> None:
    """Serve until the process is ended."""
    import uvicorn
    from mlflow.genai.agent_server import AgentServer, invoke, stream

    agent = Agent()

    @invoke()
    def answer(request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        return agent.predict(request)

    @stream()
    def answer_in_pieces(request: ResponsesAgentRequest) -> Iterator[ResponsesAgentStreamEvent]:
        yield from agent.predict_stream(request)

    uvicorn.run(AgentServer("ResponsesAgent").app, host="127.0.0.1", port=port, access_log=False)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        mlflow.pyfunc.save_model(sys.argv[2], python_model=__file__)
else:
    mlflow.models.set_model(Agent())
