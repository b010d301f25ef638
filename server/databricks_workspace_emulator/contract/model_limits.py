"""Inputs that single models do not accept, on any unified surface."""

from collections.abc import Iterator
from typing import Any

from databricks_workspace_emulator.catalogue import Endpoint
from databricks_workspace_emulator.contract.items import Item
from databricks_workspace_emulator.replies import bad_request

SIGNATURE = "thought_signature"
"""The field of a function call that must be sent back to Gemini."""


def refuse_pictures(items: list[Item], endpoint: Endpoint) -> None:
    """Refuse images and documents for a model that does not accept them, and remote images for Claude.

    Raises:
        ApiError: 400.
    """
    for part in _parts(items):
        if part.get("type") == "input_file" and not endpoint.sees:
            raise bad_request(f"Model {endpoint.name} does not support file input.")
        if part.get("type") != "input_image":
            continue
        if not endpoint.sees:
            raise bad_request(f"Model {endpoint.name} does not support image input.")
        if endpoint.provider == "anthropic" and not str(part.get("image_url")).startswith("data:"):
            raise bad_request("HTTP(S) image URLs are not supported for this model. Send base64-encoded image data.")


def refuse_unsigned_calls(items: list[Item], endpoint: Endpoint) -> None:
    """Refuse function calls without the signature that Gemini added to them.

    Raises:
        ApiError: 400.
    """
    if endpoint.provider != "google":
        return
    for position, item in enumerate(items):
        if item.get("type") == "function_call" and not item.get(SIGNATURE):
            raise bad_request(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                f"work correctly. Additional data, function call `default_api:{item.get('name')}`, position {position}."
            )


def refuse_thinking(endpoint: Endpoint, field: str) -> None:
    """Refuse reasoning for a model that does not support it.

    Raises:
        ApiError: 400.
    """
    if not endpoint.reasons:
        raise bad_request(f"Model {endpoint.name} does not support the {field} parameter.")


def _parts(items: list[Item]) -> Iterator[dict[str, Any]]:
    for item in items:
        content = item.get("content") if item.get("type", "message") == "message" else item.get("output")
        if isinstance(content, list):
            yield from (part for part in content if isinstance(part, dict))
