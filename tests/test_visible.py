"""Names that come from outside are printed so that they can be seen, and move nothing else on their line."""

import json
import unicodedata
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.cli.tables import Column, write_table
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import shown
from databricks_responses_mcp.store.records import ConversationState, StoredConversation, Turn
from databricks_responses_mcp.turns.model_listing import ModelListing
from databricks_responses_mcp.turns.transcript import as_json, as_markdown
from databricks_responses_mcp.visible import visible
from databricks_responses_mcp.workspace.endpoints import read_entries

HOSTILE = "gpt\u202eevil\u2066\u200b\x1b[2J\x9b\u2028\n\ufeff"
SEEN = "gpt\\u202eevil\\u2066\\u200b\\x1b[2J\\x9b\\u2028\\x0a\\ufeff"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("databricks-gpt-5", "databricks-gpt-5"),
        ("Grüße, 日本語 \N{FOX FACE}", "Grüße, 日本語 \N{FOX FACE}"),
        (HOSTILE, SEEN),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("soft\xadhyphen", "soft\\xadhyphen"),
        ("half\ud83d", "half\\ud83d"),
        ("filler\u3164", "filler\\u3164"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_escaped_and_the_rest_stays(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_no_printed_unicode_character_moves_others() -> None:
    # Embeddings, overrides, isolates, separators and what has no width.
    moving = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN", "B", "S"}
    printed = {character for code in range(0x110000) for character in visible(chr(code))}
    assert {character for character in printed if unicodedata.bidirectional(character) in moving} == set()


def test_the_error_for_a_refused_file_shows_invisible_characters_of_its_name() -> None:
    assert shown(HOSTILE) == f"“{SEEN}”"


def test_a_message_of_several_lines_keeps_its_lines() -> None:
    error = BridgeError(ErrorCode.NOT_FOUND, f"There is no {HOSTILE}.\nNone at all.", "Look again.")
    assert str(error) == f"There is no {SEEN.replace(chr(92) + 'x0a', chr(10))}.\nNone at all. Look again."
    assert error.as_dict(mcp_words)["message"] == str(error).removesuffix(" Look again.")


def test_a_table_escapes_names_that_would_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    write_table([Column(heading="Name")], [[HOSTILE]])
    assert capsys.readouterr().out == "NAME\n" + SEEN.replace("\\u2028\\x0a", " ") + "\n"


def test_the_list_of_models_escapes_names_in_text_and_not_in_data() -> None:
    endpoints = read_entries([{"name": f"a{HOSTILE}b", "task": f"llm/v1/{HOSTILE}"}])
    listing = ModelListing(endpoints, 0, HOSTILE, "b", is_whole=True)
    words = listing.render_text()
    assert (words.count("\n"), "\u202e" in words, SEEN in words) == (1, False, True)
    assert listing.as_dict()["models"][0]["name"] == f"a{HOSTILE}b"


def test_a_transcript_shows_names_that_move_nothing_and_what_was_said_as_it_was() -> None:
    said: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": "a\u202eb"}]
    items = [{"type": HOSTILE}]
    turn = Turn(number=1, endpoint="x", created_at=0.0, model=HOSTILE, said=said, items=items, status=HOSTILE)
    stored = StoredConversation(
        conversation_id="conv_1",
        title=HOSTILE,
        created_at=0.0,
        updated_at=0.0,
        state=ConversationState(endpoint="x"),
        turns=[turn],
    )
    assert as_markdown(stored) == snapshot("""\
# gpt\\u202eevil\\u2066\\u200b\\x1b[2J\\x9b\\u2028\\x0a\\ufeff

`conv_1`, 1 turn

## 1. You (1970-01-01T00:00:00Z)

a\u202eb

## 1. gpt\\u202eevil\\u2066\\u200b\\x1b[2J\\x9b\\u2028\\x0a\\ufeff

**gpt\\u202eevil\\u2066\\u200b\\x1b[2J\\x9b\\u2028\\x0a\\ufeff**

```json
{}
```

*gpt\\u202eevil\\u2066\\u200b\\x1b[2J\\x9b\\u2028\\x0a\\ufeff*
""")
    assert json.loads(as_json(stored))["title"] == HOSTILE
