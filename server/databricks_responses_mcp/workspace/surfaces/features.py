"""What each surface supports, and the evidence: the source of the table in ``docs/models.md``.

Nothing here prevents a call: a feature that is ``no`` is sent all the same, and the server decides. Only ``not sent``
describes the bridge: the surface cannot express the feature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from databricks_responses_mcp.workspace.surfaces.surface import SurfaceKey

Answer = Literal["yes", "no", "not sent", "unknown"]
Evidence = Literal["documented", "seen"]


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a surface supports a feature.

    Attributes:
        answer: ``not sent`` means that the bridge cannot express it on the surface.
        evidence: ``documented`` by the vendor, or ``seen`` on a server, by people who published it; None if nothing is
            known, or it is not sent.
        note: the conditions, in a few words.
    """

    answer: Answer
    evidence: Evidence | None = None
    note: str = ""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.answer, self.evidence, self.note) if part)


_D_YES = Support("yes", "documented")
_D_NO = Support("no", "documented")
_S_YES = Support("yes", "seen")
_S_NO = Support("no", "seen")
_UNKNOWN = Support("unknown")
_NOT_SENT = Support("not sent")
_EXTERNAL = Support("no", "documented", "external models: yes")

SHOWN_SURFACES: tuple[SurfaceKey, ...] = (
    "responses",
    "open-responses",
    "chat",
    "agent",
    "gateway",
    "gateway-chat",
    "supervisor",
)
"""The columns. ``invocations`` equals ``chat``; ``agent-invocations`` and ``app`` equal ``agent``."""


def _row(
    responses: Support,
    open_responses: Support,
    chat: Support,
    agent: Support,
    gateway: Support,
    gateway_chat: Support,
    supervisor: Support,
) -> Mapping[SurfaceKey, Support]:
    cells = (responses, open_responses, chat, agent, gateway, gateway_chat, supervisor)
    return dict(zip(SHOWN_SURFACES, cells, strict=True))


FEATURES: Mapping[str, Mapping[SurfaceKey, Support]] = {
    "text, streamed": _row(_D_YES, _D_YES, _D_YES, _D_YES, _S_YES, _D_YES, _D_YES),
    "images": _row(_D_YES, _UNKNOWN, _D_YES, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN),
    "documents (`input_file`)": _row(_D_YES, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN),
    "answers by a schema": _row(_S_YES, _UNKNOWN, _D_YES, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN),
    "function tools": _row(_D_YES, _S_YES, _D_YES, _UNKNOWN, _S_YES, _UNKNOWN, _D_YES),
    "custom tools": _row(
        Support("yes", "documented", "GPT-5 series"), _S_NO, _NOT_SENT, _NOT_SENT, _UNKNOWN, _NOT_SENT, _UNKNOWN
    ),
    "`apply_patch`, `shell`": _row(_D_YES, _S_NO, _NOT_SENT, _NOT_SENT, _UNKNOWN, _NOT_SENT, _UNKNOWN),
    "`web_search`": _row(
        Support("yes", "documented", "OpenAI pay-per-token"),
        _S_NO,
        _NOT_SENT,
        _NOT_SENT,
        _UNKNOWN,
        _NOT_SENT,
        _UNKNOWN,
    ),
    "`image_generation`": _row(_D_YES, _S_NO, _NOT_SENT, _NOT_SENT, _UNKNOWN, _NOT_SENT, _UNKNOWN),
    "`mcp`": _row(_D_YES, _S_NO, _NOT_SENT, _NOT_SENT, _UNKNOWN, _NOT_SENT, _UNKNOWN),
    "`code_interpreter`, `file_search`, `computer`, `tool_search`": _row(
        _EXTERNAL, _S_NO, _NOT_SENT, _NOT_SENT, _UNKNOWN, _NOT_SENT, _UNKNOWN
    ),
    "`genie_space`, `uc_function` and others": _row(_D_NO, _UNKNOWN, _NOT_SENT, _UNKNOWN, _UNKNOWN, _NOT_SENT, _D_YES),
    "`service_tier`": _row(
        Support("yes", "documented", "some models"), _UNKNOWN, _S_NO, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN
    ),
    "`background`": _row(_EXTERNAL, _NOT_SENT, _NOT_SENT, _UNKNOWN, _UNKNOWN, _NOT_SENT, _D_YES),
    "stored responses": _row(_EXTERNAL, _NOT_SENT, _NOT_SENT, _NOT_SENT, _UNKNOWN, _NOT_SENT, _UNKNOWN),
    "`temperature` beside tools": _row(
        Support("yes", "documented", "not reasoning models"), _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _D_NO
    ),
    "reasoning that is sent again": _row(_S_YES, _S_NO, _NOT_SENT, _NOT_SENT, _UNKNOWN, _NOT_SENT, _UNKNOWN),
}
"""The rows, each with a cell for each column."""


def features_table() -> str:
    """Return the table in Markdown."""
    rows = [f"| | {' | '.join(f'`{key}`' for key in SHOWN_SURFACES)} |", f"|---|{'---|' * len(SHOWN_SURFACES)}"]
    for feature, cells in FEATURES.items():
        rows.append(f"| {feature} | {' | '.join(str(cells[key]) for key in SHOWN_SURFACES)} |")
    return "\n".join(rows)
