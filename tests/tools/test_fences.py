"""Text in code fences, whatever backticks it has itself."""

import json

import pytest

from databricks_responses_mcp.calls.edit_text import render_edit
from databricks_responses_mcp.prompts.definition import fence_text
from databricks_responses_mcp.store.records import ConversationState, StoredConversation, Turn
from databricks_responses_mcp.turns.transcript import as_markdown


@pytest.mark.parametrize("ticks", [0, 2, 3, 6, 9])
def test_no_text_closes_the_fence_that_it_stands_in(ticks: int) -> None:
    inside = "`" * ticks
    fence = "`" * max(3, ticks + 1)
    diff = f"-{inside}\n+x\n"
    assert render_edit({"diff": diff, "directory": "/d"}).endswith(f":\n{fence}diff\n{diff}{fence}")
    assert fence_text(f"a\n{inside}\n`b`", "diff") == f"{fence}diff\na\n{inside}\n`b`\n{fence}"
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": inside}
    turn = Turn(number=1, endpoint="e", model="m", said=[], items=[call], status="completed", created_at=0.0)
    state = ConversationState(
        endpoint="e", parameters={}, mcp_servers=(), output_schema=None, pending=[], replay_from=1
    )
    stored = StoredConversation(
        conversation_id="conv_1", title="T", created_at=0.0, updated_at=0.0, state=state, turns=[turn]
    )
    shown = {key: call[key] for key in ("call_id", "name", "arguments")}
    assert as_markdown(stored).endswith(f"{fence}json\n{json.dumps(shown, indent=2)}\n{fence}\n")
