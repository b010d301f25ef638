"""Request parameters that are refused before a request is sent: those that the documentation says are answered with
400.

Each surface has its rules. All other parameters are sent, and the server decides; `RESPONSES_MCP_CHECK_PARAMETERS` can
turn off these checks too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.endpoints import Endpoint, looks_pay_per_token


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a parameter is refused, and the alternative."""

    means: str
    instead: str


_EXTERNAL = "an external-model endpoint (OpenAI or Azure OpenAI) accepts it"
_CONTINUE = (
    "Leave it out and continue the conversation by the conversation_id of the earlier result: the bridge keeps the "
    "conversation itself"
)

# "Query with the OpenAI Responses API" and the REST reference, for pay-per-token endpoints.
_OF_PAY_PER_TOKEN: Mapping[str, _Refusal] = {
    "background": _Refusal(
        "runs nothing in the background",
        f"Leave it out: the call streams, with progress, until it is done; {_EXTERNAL}.",
    ),
    "store": _Refusal(
        "stores no responses", f"Leave it out: the bridge itself stores what the next turn needs; {_EXTERNAL}."
    ),
    "previous_response_id": _Refusal("remembers no earlier response", f"{_CONTINUE}; {_EXTERNAL}."),
    "conversation": _Refusal("keeps no conversations", f"{_CONTINUE}; {_EXTERNAL}."),
}


# The Supervisor API's documentation: it accepts neither together with tools. It has background processing.
_OF_SUPERVISOR_WITH_TOOLS = frozenset({"temperature", "top_p"})
_SUPERVISOR = "supervisor"


def needs_check(parameters: Mapping[str, object], surface: str) -> bool:
    """Return whether a request has a parameter that a surface has a rule for."""
    rules = _OF_SUPERVISOR_WITH_TOOLS if surface == _SUPERVISOR else _OF_PAY_PER_TOKEN.keys()
    return not rules.isdisjoint(parameters)


def check_parameters(
    parameters: Mapping[str, object], endpoint: Endpoint | None, *, name: str = "", surface: str = "auto"
) -> dict[str, object]:
    """Return the parameters as they are sent to an endpoint on a surface.

    For a pay-per-token endpoint, the four stateful parameters are left out if their value requests nothing (false,
    null, empty): the API answers any value with 400, and leaving them out means the same. For all other endpoints, and
    all other parameters (``service_tier`` too), nothing is changed: the endpoint decides.

    Args:
        parameters: the caller's parameters; not modified.
        endpoint: the endpoint in the listing, if known.
        name: the endpoint's name, used without a listing; ``model`` among the parameters has the same effect.
        surface: the requested surface, or ``auto``.

    Raises:
        BridgeError: ``unsupported_by_model``, naming the parameter and the alternative.
    """
    shown = endpoint.name if endpoint is not None else name or str(parameters.get("model") or "")
    if surface == _SUPERVISOR:
        _check_supervisor(parameters, shown)
        return dict(parameters)
    if not (endpoint.kind == "pay_per_token" if endpoint is not None else looks_pay_per_token(shown)):
        return dict(parameters)
    passed: dict[str, object] = {}
    for parameter, value in parameters.items():
        refusal = _OF_PAY_PER_TOKEN.get(parameter)
        if refusal is None:
            passed[parameter] = value
        elif value:
            raise BridgeError(
                ErrorCode.UNSUPPORTED_BY_MODEL,
                f"{shown} does not accept {parameter}: a pay-per-token endpoint {refusal.means}.",
                refusal.instead,
            )
    return passed


def _check_supervisor(parameters: Mapping[str, object], model: str) -> None:
    given = sorted(name for name in _OF_SUPERVISOR_WITH_TOOLS if parameters.get(name) is not None)
    if given and parameters.get("tools"):
        raise BridgeError(
            ErrorCode.UNSUPPORTED_BY_MODEL,
            f"The Supervisor API does not accept {' and '.join(given)} together with tools ({model}).",
            f"Leave {' and '.join(given)} out.",
        )
