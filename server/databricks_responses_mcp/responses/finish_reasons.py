"""Why a chat completion stopped, in the words of the Responses API."""

_COMPLETE = frozenset(
    {
        "stop",
        "stop_sequence",
        "end_turn",
        "pause_turn",
        "eos",
        "eos_token",
        "tool_calls",
        "tool_call",
        "tool_use",
        "function_call",
        "complete",
        "completed",
        "finished",
        "done",
        "end",
    }
)
_REASONS = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
}


def incomplete_reason(finish: str) -> str | None:
    """Why the answer is incomplete, or None if it is complete; a reason that is not known is told as it is."""
    finish = finish.lower()
    return None if finish in _COMPLETE else _REASONS.get(finish, finish)
