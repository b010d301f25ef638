"""Authentication: a bearer token, or Basic with user ``token``, as workspaces accept them."""

import base64
import binascii

from databricks_workspace_emulator.replies import workspace_error
from databricks_workspace_emulator.state import EmulatorState
from databricks_workspace_emulator.users import User


def signed_in(authorization: str | None, state: EmulatorState) -> User:
    """Return the user of a request, or raise the workspace's 401 (no usable credential) or 403 (a wrong one)."""
    sent = sent_token(authorization)
    if sent is None:
        raise workspace_error(
            401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."
        )
    user = state.user_of(sent)
    if user is None:
        raise workspace_error(403, "PERMISSION_DENIED", "Invalid Token")
    return user


def sent_token(authorization: str | None) -> str | None:
    """Return the token in an ``Authorization`` header, if a workspace would use it."""
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
