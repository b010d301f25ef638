"""Records for tests of stores."""

from typing import Any

from databricks_responses_mcp.store.records import ConversationState, Job, Turn, Usage

STATE = ConversationState(endpoint="gpt")


def a_turn(number: int = 1, **changed: Any) -> Turn:
    """Return a turn that was created at the second of its number."""
    return Turn(
        **{
            "number": number,
            "endpoint": "gpt",
            "model": "gpt-5",
            "said": [{"role": "user", "content": f"Question {number}?"}],
            "items": [{"type": "message", "content": [{"type": "output_text", "text": f"Answer {number}."}]}],
            "status": "completed",
            "created_at": float(number),
            **changed,
        }
    )


def a_job(job_id: str = "job-1", **changed: Any) -> Job:
    """Return a running job."""
    return Job(
        **{
            "job_id": job_id,
            "tool": "ask_databricks_model",
            "status": "running",
            "created_at": 1.0,
            "updated_at": 1.0,
            **changed,
        }
    )


def a_usage(created_at: float = 1.0, **changed: Any) -> Usage:
    """Return the usage of a request: 10 input tokens, 5 output tokens."""
    return Usage(
        **{
            "created_at": created_at,
            "tool": "ask_databricks_model",
            "endpoint": "gpt",
            "model": "gpt-5",
            "conversation_id": None,
            "input_tokens": 10,
            "output_tokens": 5,
            **changed,
        }
    )
