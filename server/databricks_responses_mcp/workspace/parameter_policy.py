"""Which request parameters an endpoint takes, where that is known before it is asked.

Pay-per-token endpoints keep nothing between requests. The bridge never sends them what they cannot take; a caller who
asks for it by name is told so, and what to do instead, before anything is paid for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.endpoints import Endpoint, looks_pay_per_token


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a parameter is refused, and the way to get what it is for."""

    means: str
    instead: str


_EXTERNAL = "an external-model endpoint (OpenAI or Azure OpenAI) takes it"
_CONTINUE = (
    "Leave it out and pass the argument conversation_id with the value of the earlier result: the bridge keeps the "
    "conversation itself"
)

_REFUSED: Mapping[str, _Refusal] = {
    "background": _Refusal(
        "runs nothing in the background",
        f"Leave it out: the call streams, with progress, until it is done; {_EXTERNAL}.",
    ),
    "store": _Refusal(
        "stores no responses", f"Leave it out: the bridge keeps what it needs for the next turn itself; {_EXTERNAL}."
    ),
    "previous_response_id": _Refusal("remembers no earlier response", f"{_CONTINUE}; {_EXTERNAL}."),
    "conversation": _Refusal("keeps no conversations", f"{_CONTINUE}; {_EXTERNAL}."),
}


def check_parameters(
    parameters: Mapping[str, object], endpoint: Endpoint | None, *, name: str = ""
) -> dict[str, object]:
    """The parameters as they may be sent to the endpoint.

    On a pay-per-token endpoint, those of the four stateful parameters that ask for nothing (false, null, empty) are
    left out: any value of theirs is answered with 400 there, and leaving them out means the same. Everywhere else, and
    for every other parameter (``service_tier`` too), nothing is changed: the endpoint decides.

    Args:
        parameters: what the caller gave; not modified.
        endpoint: what the listing says about the endpoint, if anything.
        name: the endpoint's name, for when there is no listing; ``model`` among the parameters does as well.

    Raises:
        BridgeError: ``unsupported_by_model``, naming the parameter and the alternative.
    """
    shown = endpoint.name if endpoint is not None else name or str(parameters.get("model") or "")
    if not (endpoint.kind == "pay_per_token" if endpoint is not None else looks_pay_per_token(shown)):
        return dict(parameters)
    passed: dict[str, object] = {}
    for parameter, value in parameters.items():
        refusal = _REFUSED.get(parameter)
        if refusal is None:
            passed[parameter] = value
        elif value:
            raise BridgeError(
                ErrorCode.UNSUPPORTED_BY_MODEL,
                f"{shown} does not take {parameter}: a pay-per-token endpoint {refusal.means}.",
                refusal.instead,
            )
    return passed
