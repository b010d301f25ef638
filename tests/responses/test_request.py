"""The body of a request."""

from databricks_responses_mcp.responses.request import Prompt, RequestOptions, build_parameters, build_request


def test_a_plain_question_sends_nothing_that_was_not_given() -> None:
    assert build_request("databricks-gpt-5", Prompt(text="Hi").items(), build_parameters(RequestOptions())) == {
        "model": "databricks-gpt-5",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "stream": True,
    }


def test_every_option_lands_where_the_api_wants_it_and_extra_is_verbatim() -> None:
    body = build_request(
        "m",
        Prompt(text="Look", images=["data:image/png;base64,AA=="]).items(),
        build_parameters(
            RequestOptions(
                instructions="Be brief.",
                reasoning_effort="low",
                verbosity="high",
                max_output_tokens=7,
                temperature=0.0,
                top_p=0.5,
                tools=[{"type": "image_generation"}],
                tool_choice={"type": "image_generation"},
                extra={
                    "reasoning": {"summary": "auto"},
                    "text": {"format": {"type": "text"}},
                    "service_tier": "priority",
                },
            )
        ),
    )
    assert body == {
        "model": "m",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
                ],
            }
        ],
        "stream": True,
        "instructions": "Be brief.",
        "max_output_tokens": 7,
        "temperature": 0.0,
        "top_p": 0.5,
        "tool_choice": {"type": "image_generation"},
        "tools": [{"type": "image_generation"}],
        "reasoning": {"summary": "auto", "effort": "low"},
        "text": {"format": {"type": "text"}, "verbosity": "high"},
        "service_tier": "priority",
    }
