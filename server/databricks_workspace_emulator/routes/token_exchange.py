"""``POST /oidc/v1/token``: a JWT of a trusted issuer for a token of the workspace (RFC 8693).

The signature is not checked: the subject of the JWT is looked up among those that a test has registered.
"""

import base64
import binascii
import json
import time
from typing import Any
from urllib.parse import parse_qs

from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.replies import ApiError
from databricks_workspace_emulator.state import new_token

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_NO_CACHE = {"cache-control": "no-store"}


async def exchange_token(incoming: Incoming) -> Reply:
    """Answer with a token of the user whose JWT was sent; errors have the form of OAuth."""
    form = {
        name: values[0]
        for name, values in parse_qs(incoming.raw.decode("utf-8", "replace"), strict_parsing=False).items()
    }
    if form.get("grant_type") != _GRANT:
        raise _refused("unsupported_grant_type", "The grant type is not supported.")
    if form.get("subject_token_type") != _JWT or "subject_token" not in form:
        raise _refused("invalid_request", "subject_token and subject_token_type are required.")
    if form.get("scope") != "all-apis":
        raise _refused("invalid_scope", "The scope is not supported.")
    claims = _claims(form["subject_token"])
    users = incoming.state.users
    user = users.federated.get(str(claims.get("sub")))
    if user is None:
        raise _refused("invalid_grant", "No federation policy matches the token's issuer, audience and subject.")
    if float(claims.get("exp", 0)) <= time.time():
        raise _refused("invalid_grant", "The token has expired.")
    token = new_token("oauth")
    users.add(user, token, seconds=users.exchanged_seconds)
    incoming.exchange.user = user.name
    issued = {
        "access_token": token,
        "token_type": "Bearer",
        "scope": "all-apis",
        "expires_in": users.exchanged_seconds,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    return json_reply(issued, headers=_NO_CACHE)


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    try:
        payload = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(payload))
    except (IndexError, binascii.Error, ValueError):
        claims = None
    if not isinstance(claims, dict):
        raise _refused("invalid_request", "The subject token is not a JWT.")
    return claims


def _refused(error: str, description: str) -> ApiError:
    return ApiError(400, {"error": error, "error_description": description}, _NO_CACHE)
