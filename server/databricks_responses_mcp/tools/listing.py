"""The workspace's endpoints, as a caller is told of them."""

from dataclasses import dataclass
from typing import Any

from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.endpoints import Endpoint


@dataclass(frozen=True, slots=True)
class Listing:
    """Endpoints and defaults; says the same in words and as facts."""

    endpoints: list[Endpoint]
    hidden: int
    default_model: str
    default_image_model: str

    def facts(self) -> dict[str, Any]:
        """The structured result."""
        return {
            "models": [_facts(endpoint) for endpoint in self.endpoints],
            "default_model": self.default_model,
            "default_image_model": self.default_image_model,
        }

    def words(self) -> str:
        """The same, a line an endpoint."""
        lines = [_line(endpoint) for endpoint in self.endpoints] or ["No serving endpoint matches."]
        if self.hidden:
            lines.append(f"({self.hidden} more do not serve the Responses API; responses_only=false shows them.)")
        lines.append(f"Default model: {self.default_model}. Default image model: {self.default_image_model}.")
        return "\n".join(lines)


async def list_models(bridge: Bridge, name_contains: str, *, responses_only: bool) -> Listing:
    """The endpoints whose name contains ``name_contains``, whatever its case.

    Raises:
        BridgeError: if the workspace cannot be asked.
    """
    matching = [e for e in await bridge.endpoints.list() if name_contains.lower() in e.name.lower()]
    shown = [e for e in matching if not responses_only or e.serves_responses != "no"]
    return Listing(
        endpoints=shown,
        hidden=len(matching) - len(shown),
        default_model=bridge.settings.model or await bridge.endpoints.default_text_model(),
        default_image_model=bridge.settings.image_model or await bridge.endpoints.default_image_model(),
    )


def _facts(endpoint: Endpoint) -> dict[str, Any]:
    facts = {
        "name": endpoint.name,
        "state": endpoint.state,
        "task": endpoint.task,
        "provider": endpoint.provider,
        "kind": endpoint.kind,
        "serves_responses": endpoint.serves_responses,
        "reason": endpoint.reason,
        "draws": endpoint.can_generate_images,
    }
    return {key: value for key, value in facts.items() if value is not None and value != ""}


def _line(endpoint: Endpoint) -> str:
    parts = [endpoint.state, endpoint.kind.replace("_", " "), endpoint.provider, endpoint.task]
    draws = ", draws" if endpoint.can_generate_images == "yes" else ""
    return (
        f"{endpoint.name}: {', '.join(part for part in parts if part)}; "
        f"Responses API: {endpoint.serves_responses}{draws} ({endpoint.reason})"
    )
