"""The features of a workspace that can be switched on and off."""

import secrets
from dataclasses import dataclass
from typing import Literal

TokenKind = Literal["personal", "oauth"]


@dataclass(slots=True)
class Switches:
    """Differences between workspaces; may be changed while one runs.

    Attributes:
        gateway: the Unity Gateway; without it every ``/ai-gateway`` path answers 501.
        supervisor: the Responses API of ``/ai-gateway/mlflow/v1``; without it that path answers 404.
        foundation_models: the listing ``serving-endpoints:foundation-models``; without it 404.
        model_services: the listing of model services in Unity Catalog; without it 404.
        mcp_services: the listing of MCP services in Unity Catalog; without it 404.
        legacy_names: whether model serving still serves ``databricks-…``; a workspace that has moved to model services
            answers 501. On the gateway ``databricks-X`` always means ``system.ai.X``.
        long_ids: whether items of pay-per-token models have ids like real ones: up to 416 characters, another in each
            event. No id over 64 characters is accepted later, so clients that return items as received fail. Otherwise
            an item has one short id.
        open_responses: the path ``open-responses``; without it 404.
    """

    gateway: bool = True
    supervisor: bool = False
    foundation_models: bool = True
    model_services: bool = True
    mcp_services: bool = True
    legacy_names: bool = True
    long_ids: bool = True
    open_responses: bool = True


def new_token(kind: TokenKind = "personal") -> str:
    """Return a random token in the shape of its kind. Apps take OAuth tokens only."""
    shape = "dapi-embedded" if kind == "personal" else "eyJ-embedded"
    return f"{shape}-{secrets.token_hex(16)}"


def token_kind(token: str) -> TokenKind:
    """Return the kind of a credential from its format: personal access tokens begin with ``dapi``."""
    return "personal" if token.startswith("dapi") else "oauth"
