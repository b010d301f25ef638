"""Features that a request needs and a surface does not have."""

from collections.abc import Iterable, Mapping
from typing import Any

from databricks_responses_mcp.errors import quoted

_FEATURES = {
    "custom": "custom tools",
    "web_search": "web search",
    "web_search_preview": "web search",
    "image_generation": "image generation",
    "apply_patch": "apply_patch",
    "shell": "shell",
    "local_shell": "shell",
    "mcp": "mcp",
    "code_interpreter": "code interpreter",
    "file_search": "file search",
    "computer_use_preview": "computer use",
}


class UntranslatableError(ValueError):
    """A request that cannot be translated to a surface without losing something important.

    Attributes:
        feature: what the surface lacks, in a few words: ``custom tools``, ``web search``, ``image generation``,
            ``images``, ``files``, ``apply_patch``, ``shell``, ``mcp``, ``structured output``, ``service_tier`` …
    """

    def __init__(self, feature: str, sentence: str) -> None:
        super().__init__(sentence)
        self.feature = feature


def tool_feature(kind: Any) -> str:
    """Return the feature for a tool type."""
    return _FEATURES.get(str(kind)) or f"{str(kind).replace('_', ' ')} tools"


def is_native_tool(kind: Any) -> bool:
    """Return whether tools of this type are run, or understood, only by the native Responses API."""
    return isinstance(kind, str) and kind in _FEATURES


def require_functions(tools: Iterable[Any], surface: str) -> list[Mapping[str, Any]]:
    """Return the tools, which must all be functions.

    Raises:
        UntranslatableError: with the feature of the first other tool.
    """
    functions: list[Mapping[str, Any]] = []
    for tool in tools:
        if not isinstance(tool, Mapping) or tool.get("type") != "function":
            kind = tool.get("type") if isinstance(tool, Mapping) else tool
            raise UntranslatableError(
                tool_feature(kind),
                f"{surface} accepts only function tools, and this request has one of {quoted(kind)}.",
            )
        functions.append(tool)
    return functions
