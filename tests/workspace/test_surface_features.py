"""The table of surfaces and features says of what is not sent what the translations do."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.unsupported import UntranslatableError
from databricks_responses_mcp.workspace.surfaces.features import FEATURES, SHOWN_SURFACES
from databricks_responses_mcp.workspace.surfaces.surface import SurfaceKey
from databricks_responses_mcp.workspace.surfaces.table import SURFACES

FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
PROBES: dict[str, dict[str, Any]] = {
    "function tools": {"tools": [FUNCTION]},
    "custom tools": {"tools": [{"type": "custom", "name": "sql"}]},
    "`apply_patch`, `shell`": {"tools": [{"type": "apply_patch"}]},
    "`web_search`": {"tools": [{"type": "web_search"}]},
    "`image_generation`": {"tools": [{"type": "image_generation"}]},
    "`mcp`": {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x.example"}]},
    "`code_interpreter`, `file_search`, `computer`, `tool_search`": {"tools": [{"type": "code_interpreter"}]},
    "`genie_space`, `uc_function` and others": {"tools": [{"type": "genie_space", "genie_space": {"id": "1"}}]},
    "`service_tier`": {"service_tier": "priority"},
    "`background`": {"background": True},
    "stored responses": {"store": True},
    "`temperature` beside tools": {"temperature": 0.5, "tools": [FUNCTION]},
}


@pytest.mark.parametrize("key", SHOWN_SURFACES)
@pytest.mark.parametrize("feature", PROBES)
def test_what_is_not_sent_cannot_be_said_on_the_surface_and_the_rest_is_sent(feature: str, key: SurfaceKey) -> None:
    body = {"model": "m", "input": [{"type": "message", "role": "user", "content": "Hi"}], **PROBES[feature]}
    translate = SURFACES[key].translate
    try:
        sent = body if translate is None else translate(body)[0]
    except UntranslatableError:
        assert FEATURES[feature][key].answer == "not sent"
        return
    assert FEATURES[feature][key].answer != "not sent"
    assert all(name in sent for name in PROBES[feature])


def test_every_cell_says_how_it_is_known() -> None:
    for cells in FEATURES.values():
        assert tuple(cells) == SHOWN_SURFACES
        for support in cells.values():
            assert (support.evidence is None) == (support.answer in ("not sent", "unknown"))
