"""What known failures of reaching the workspace mean: its address, signing in, and the surface of a model.

Rows with more conditions stand above rows with fewer.
"""

from databricks_responses_mcp.errors import Action, ErrorCode, Reason
from databricks_responses_mcp.workspace.api_error_rule import Rule, rule

_E = ErrorCode
_RENEW = (
    "The token has expired or belongs to another workspace: make a new one in the workspace that DATABRICKS_HOST "
    "names, and check that no DATABRICKS_CONFIG_PROFILE points elsewhere."
)
SIGN_IN = "Give a valid DATABRICKS_TOKEN, or sign in again."
SIGN_IN_AGAIN = (Action.SIGN_IN, Action.RUN_DOCTOR)
"""The advice of rows whose main action is `SIGN_IN`."""

OWN_ADDRESS = (
    "Use the workspace's own address as DATABRICKS_HOST, not a custom URL or a Databricks App: those require a "
    "browser or OAuth and accept no personal access token."
)

ACCESS_RULES: tuple[Rule, ...] = (
    # The address and the network.
    rule(
        _E.NOT_CONFIGURED,
        OWN_ADDRESS,
        "{host} answered with a sign-in page instead of the API's answer",
        reason=Reason.SIGN_IN_PAGE,
        status=200,
        text=r"\b(?:sign|log)[ -]?in\b",
    ),
    rule(
        _E.NOT_CONFIGURED,
        "Give the proxy's credentials in HTTPS_PROXY, or exempt the workspace in NO_PROXY.",
        "A proxy between here and the workspace asks for credentials",
        status=407,
    ),
    rule(
        _E.NOT_CONFIGURED,
        "Set DATABRICKS_HOST to the workspace's bare address and RESPONSES_MCP_RESPONSES_PATH to "
        "/serving-endpoints/responses.",
        "The workspace has no such path",
        text=r"path must be of form|no API found for|no handler for",
        reason=Reason.SURFACE_MISMATCH,
    ),
    rule(
        _E.PERMISSION_DENIED,
        "Connect from an allowed network (VPN), or ask an administrator to add this address to the IP access list.",
        "The workspace does not accept requests from this network",
        text=r"IP ACL|IP access list|source IP",
        status=(401, 403),
    ),
    # Authentication.
    rule(
        _E.UNAUTHENTICATED,
        "Sign in with OAuth: unset DATABRICKS_TOKEN and set DATABRICKS_CONFIG_PROFILE to the profile that signing in "
        "made; or set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET of a service principal.",
        "This workspace does not accept personal access tokens",
        advice=(Action.SIGN_IN,),
        text=r"(?:api|personal access) tokens? (?:are|is|has been|have been|was|were) "
        r"(?:disabled|turned off|not (?:allowed|enabled|permitted|supported))|"
        r"(?:disabled|not allowed|not permitted).{0,40}personal access tokens?",
        status=(400, 401, 403),
    ),
    rule(
        _E.PERMISSION_DENIED,
        "Sign in with an OAuth token that has the scope model-serving or all-apis.",
        "The token lacks a scope",
        text=r"required scopes?|insufficient[ _]scope|scope .{0,60}(?:missing|required)",
        status=(401, 403),
    ),
    rule(
        _E.UNAUTHENTICATED,
        _RENEW,
        "The workspace does not know the token",
        advice=(Action.RUN_DOCTOR,),
        text=r"invalid (?:access )?token|token (?:is|has) (?:expired|invalid|been revoked)|expired token|"
        r"token not valid for this workspace",
        status=(401, 403),
    ),
    rule(
        _E.UNAUTHENTICATED,
        _RENEW,
        "The workspace does not know the token",
        advice=(Action.RUN_DOCTOR,),
        # A 400 with exactly these words; a longer text that contains them may be about the request's grammar or JSON.
        text=r"^(?:(?:http|error) )?(?:\d{3}[: ]+)?invalid (?:access )?token\.?(?: \[[^\]]{0,100}\])?$",
        status=400,
    ),
    rule(
        _E.UNAUTHENTICATED,
        SIGN_IN,
        "The workspace did not accept the credentials",
        advice=SIGN_IN_AGAIN,
        text=r"credential was not sent|unsupported type of credential|authentication failed|invalid api key",
    ),
    # The surface of a model.
    rule(
        _E.MODEL_NOT_FOUND,
        "This workspace has moved to Unity Catalog model services: name the model system.ai.<model>, which goes "
        "through the gateway, or set RESPONSES_MCP_SURFACE to gateway.",
        "The old model name is no longer served",
        text=r"no longer available.{0,80}model services|unity catalog model services",
        reason=Reason.NAME_RETIRED,
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Set RESPONSES_MCP_SURFACE back to auto, and leave RESPONSES_MCP_RESPONSES_PATH out.",
        "The model answers on the Responses API only, and another surface was asked",
        text=r"only supports the responses api|use /v1/responses|"
        r"supported api types: \[[^\]]{0,200}openai/v1/responses",
        reason=Reason.SURFACE_MISMATCH,
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Set RESPONSES_MCP_SURFACE back to auto, or to chat.",
        "The model answers on Chat Completions only, and another surface was asked",
        text=r"only supports? (?:the )?chat completions|use /v1/chat/completions",
        reason=Reason.SURFACE_MISMATCH,
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Leave RESPONSES_MCP_SURFACE at auto, or choose an OpenAI model.",
        "The model {model} is not served through this API",
        advice=(Action.LIST_MODELS,),
        text=r"native_api_type|api type .{0,120}not supported|supported api types|"
        r"(?:responses api|api) (?:is )?(?:only compatible|not supported|only supported)|"
        r"doesn't match any known api type",
        reason=Reason.SURFACE_MISMATCH,
    ),
    rule(
        _E.NOT_CONFIGURED,
        "Ask an administrator to turn the preview on, or set RESPONSES_MCP_SURFACE to auto.",
        "The configured API is not turned on in this workspace",
        text=r"(?:supervisor api|gateway|preview|feature).{0,60}(?:not enabled|disabled|not available|not supported)",
    ),
)
"""The first rows of the table."""
