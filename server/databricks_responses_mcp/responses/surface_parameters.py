"""The parameters of the native Responses API on surfaces that lack some of them.

A parameter that would change the answer is refused; one without effect there is left out and reported; one that the API
does not know is sent verbatim, because the caller passed it for the endpoint.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from databricks_responses_mcp.responses.unsupported import UntranslatableError

_ENCRYPTED = ["reasoning.encrypted_content"]

NATIVE_ONLY = frozenset(
    {
        "access_programs",
        "background",
        "background_options",
        "context_management",
        "conversation",
        "image",
        "include",
        "max_tool_calls",
        "metadata",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream_options",
        "top_logprobs",
        "truncation",
        "user",
    }
)

# The answer does not depend on these, or the bridge has added them itself: not reported.
_NEUTRAL: dict[str, Callable[[Any], bool]] = {
    "background": lambda value: value is False,
    "include": lambda value: value in ([], _ENCRYPTED),
    "metadata": lambda value: value == {},
    "parallel_tool_calls": lambda value: value is True,
    "service_tier": lambda value: value in ("auto", "default"),
    "store": lambda value: value is False,
    "stream_options": lambda _: True,
    "truncation": lambda value: value == "disabled",
}

_STORED = "stored responses"
_REFUSED = {
    "background": ("background", "has no background mode"),
    "conversation": (_STORED, "stores no conversations"),
    "previous_response_id": (_STORED, "stores no responses to continue from"),
    "prompt": ("stored prompts", "stores no prompts"),
    "store": (_STORED, "stores no responses"),
}


_DECIDED_BY_SERVER = frozenset({"service_tier"})
"""Documented for some models of a surface and refused by others: sent, because a refusal costs nothing."""


def take_parameters(
    body: Mapping[str, Any], *, surface: str, said_otherwise: Collection[str], known: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Return the parameters of ``body`` that are sent unchanged, and the names of those that were left out.

    Args:
        surface: its name in an error.
        said_otherwise: the parameters that the caller translates itself.
        known: native parameters that the surface also accepts.

    Raises:
        UntranslatableError: for what cannot be left out.
    """
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in body.items():
        if name in said_otherwise or value is None:
            continue
        if name in known or name not in NATIVE_ONLY or (name in _DECIDED_BY_SERVER and not _is_neutral(name, value)):
            kept[name] = value
        elif not _is_neutral(name, value):
            if name in _REFUSED:
                feature, lack = _REFUSED[name]
                raise UntranslatableError(feature, f"{surface} {lack}, and this request has {name}.")
            left_out.append(name)
    return kept, left_out


def left_out_note(surface: str, names: Collection[str]) -> list[str]:
    """Return a note about parameters that were left out: one sentence, or none."""
    return [f"Left out of the request, because {surface} does not support it: {', '.join(names)}."] if names else []


def _is_neutral(name: str, value: Any) -> bool:
    neutral = _NEUTRAL.get(name)
    return neutral is not None and neutral(value)
