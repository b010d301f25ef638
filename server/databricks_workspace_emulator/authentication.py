"""Who may come in: a bearer token, or Basic with user ``token``, as a workspace accepts them."""

import base64
import binascii
import secrets

from databricks_workspace_emulator.replies import workspace_error


def check_credentials(authorization: str | None, token: str) -> None:
    """Let the request pass, or raise the workspace's 401 (nothing usable was sent) or 403 (it was wrong)."""
    sent = sent_token(authorization)
    if sent is None:
        raise workspace_error(
            401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."
        )
    if not secrets.compare_digest(sent.encode(), token.encode()):
        raise workspace_error(403, "PERMISSION_DENIED", "Invalid Token")


def sent_token(authorization: str | None) -> str | None:
    """The token in an ``Authorization`` header, if a workspace would look at it."""
    scheme, _, value = (authorization or "").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return value
    if scheme.lower() == "basic":
        try:
            user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if colon and user == "token":
            return password
    return None
