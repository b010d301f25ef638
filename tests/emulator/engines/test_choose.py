"""Which engine answers."""

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines import choose
from databricks_workspace_emulator.engines.choose import choose_engine
from databricks_workspace_emulator.engines.local import LocalEngine
from databricks_workspace_emulator.engines.openai_compatible import OpenAICompatibleEngine
from databricks_workspace_emulator.engines.rules import RulesEngine

WHY = "the local model's engine is built for 64-bit Linux and macOS only"


@pytest.fixture
def runs_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choose, "supported", lambda: None)


@pytest.fixture
def runs_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "supported", lambda: WHY)


@pytest.mark.usefixtures("runs_here")
@pytest.mark.parametrize("spec", [None, "local", " Local "])
def test_a_real_model_answers_where_it_can(spec: str | None) -> None:
    chosen = choose_engine(spec)
    assert isinstance(chosen.engine, LocalEngine)
    assert chosen.note == snapshot(
        "Answers come from SmolLM2-135M-Instruct (local llama.cpp), a real but very small model on this machine; "
        "129 MB are fetched on first use."
    )


@pytest.mark.usefixtures("runs_elsewhere")
def test_rules_answer_elsewhere_and_the_note_says_why() -> None:
    chosen = choose_engine(None)
    assert isinstance(chosen.engine, RulesEngine)
    assert chosen.note == f"Answers come from fixed rules, not from a model: {WHY}."


@pytest.mark.usefixtures("runs_elsewhere")
def test_asking_for_the_local_model_where_it_cannot_run_is_an_error() -> None:
    with pytest.raises(BridgeError) as raised:
        choose_engine("local")
    assert raised.value.as_dict(mcp_words) == snapshot(
        {
            "code": "not_configured",
            "message": "The local model's engine is built for 64-bit Linux and macOS only.",
            "retryable": False,
            "hint": "Choose --engine rules, or --engine URL of an OpenAI-compatible server.",
        }
    )


def test_a_url_and_rules_are_taken_as_asked() -> None:
    chosen = choose_engine("http://127.0.0.1:11434#llama3")
    assert isinstance(chosen.engine, OpenAICompatibleEngine)
    assert chosen.note == snapshot("Answers come from llama3 at 127.0.0.1:11434, a server of yours.")
    assert isinstance(choose_engine("rules").engine, RulesEngine)


@pytest.mark.parametrize("spec", ["", "gpt-4", "localhost:11434"])
def test_anything_else_is_refused(spec: str) -> None:
    with pytest.raises(BridgeError) as raised:
        choose_engine(spec)
    assert raised.value.code is ErrorCode.INVALID_ARGUMENT
