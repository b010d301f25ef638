"""``POST /oidc/v1/token``: a workspace token for a JWT of a trusted issuer (RFC 8693), or for a service principal.

The signature of the JWT is not checked: its subject is looked up among those that a test has registered.
"""

import base64
import binascii
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, unquote

from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.replies import ApiError
from databricks_workspace_emulator.routes.endpoints import no_such_path
from databricks_workspace_emulator.switches import new_token
from databricks_workspace_emulator.users import User

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_PRINCIPAL_GRANT = "client_credentials"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_NO_CACHE = {"cache-control": "no-store"}


async def describe_workspace(incoming: Incoming) -> Reply:
    """Say where the workspace describes its tokens, as ``/.well-known/databricks-config``, if it has principals."""
    if not incoming.state.users.principals:
        return await no_such_path(incoming)
    return json_reply({"oidc_endpoint": f"http://{incoming.exchange.headers['host']}/oidc"})


async def describe_tokens(incoming: Incoming) -> Reply:
    """Say where tokens are issued, as ``/oidc/.well-known/oauth-authorization-server`` (RFC 8414)."""
    origin = f"http://{incoming.exchange.headers['host']}/oidc"
    return json_reply(
        {
            "issuer": origin,
            "authorization_endpoint": f"{origin}/v1/authorize",
            "token_endpoint": f"{origin}/v1/token",
            "grant_types_supported": [_PRINCIPAL_GRANT, _GRANT],
        }
    )


async def exchange_token(incoming: Incoming) -> Reply:
    """Answer with a token of who signs in; errors have the form of OAuth."""
    form = {
        name: values[0]
        for name, values in parse_qs(incoming.raw.decode("utf-8", "replace"), strict_parsing=False).items()
    }
    if form.get("scope") != "all-apis":
        raise _refused("invalid_scope", "The scope is not supported.")
    if form.get("grant_type") == _PRINCIPAL_GRANT:
        user = _principal(incoming, form)
        kind: dict[str, str] = {}
    elif form.get("grant_type") == _GRANT:
        user = _federated(incoming, form)
        kind = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    else:
        raise _refused("unsupported_grant_type", "The grant type is not supported.")
    users = incoming.state.users
    token = new_token("oauth")
    users.add(user, token, seconds=users.exchanged_seconds)
    incoming.exchange.user = user.name
    issued = {
        "access_token": token,
        "token_type": "Bearer",
        "scope": "all-apis",
        "expires_in": users.exchanged_seconds,
        **kind,
    }
    return json_reply(issued, headers=_NO_CACHE)


def _federated(incoming: Incoming, form: dict[str, str]) -> User:
    """Return the user whose JWT was sent."""
    if form.get("subject_token_type") != _JWT or "subject_token" not in form:
        raise _refused("invalid_request", "subject_token and subject_token_type are required.")
    claims = _claims(form["subject_token"])
    user = incoming.state.users.federated.get(str(claims.get("sub")))
    if user is None:
        raise _refused("invalid_grant", "No federation policy matches the token's issuer, audience and subject.")
    if float(claims.get("exp", 0)) <= time.time():
        raise _refused("invalid_grant", "The token has expired.")
    return user


def _principal(incoming: Incoming, form: dict[str, str]) -> User:
    """Return the service principal whose id and secret were sent, in the header or in the form."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, encoded = (incoming.authorization or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            decoded = ""
        client_id, secret = map(unquote, decoded.partition(":")[::2])
    known, user = incoming.state.users.principals.get(client_id, ("", None))
    if user is None or not secrets.compare_digest(known.encode(), secret.encode()):
        raise _refused("invalid_client", "Client authentication failed", 401)
    return user


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


def _refused(error: str, description: str, status: int = 400) -> ApiError:
    return ApiError(status, {"error": error, "error_description": description}, _NO_CACHE)
