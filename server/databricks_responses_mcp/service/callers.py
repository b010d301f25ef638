"""The identity of the caller, with which each HTTP request was authenticated."""

import hashlib
import json
from dataclasses import dataclass, field

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from pydantic import SecretStr
from starlette.requests import Request

MAX_ID_CHARACTERS = 255
"""The longest id or name of a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A signed-in user, as one request proved it.

    Attributes:
        issuer: the issuer of the subject, such as the URL of an OAuth issuer.
        subject: the user's id at the issuer; it never changes.
        name: the name that people know, such as an e-mail address; for logs, the audit log and the policy.
        workspace_token: the user's own token for the workspace, if the request carried one.
        mcp_token: the OAuth token that the request was authenticated with, if it was. It is for this service: it is
            sent nowhere but to the workspace's own token endpoint, where that is configured to exchange it.
        owner: the owner of everything that the user stores: issuer and subject as JSON, so that no two users share one.
    """

    issuer: str
    subject: str
    name: str = ""
    workspace_token: SecretStr | None = field(default=None, repr=False)
    mcp_token: SecretStr | None = field(default=None, repr=False)
    owner: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the owner."""
        object.__setattr__(self, "owner", json.dumps([self.issuer, self.subject], separators=(",", ":")))

    @property
    def folder_name(self) -> str:
        """The name of the user's folders: a digest of the owner, so that it says nothing of the user."""
        return hashlib.sha256(self.owner.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class SignedInUser(AuthenticatedUser):
    """What authentication puts into the scope of a request as ``user``; the SDK binds sessions and state to it."""

    def __init__(self, caller: Caller, token: AccessToken) -> None:
        super().__init__(token)
        self.caller = caller


def caller_of(request: Request) -> Caller:
    """Return the caller. Only for requests that authentication let pass."""
    user = request.scope["user"]
    assert isinstance(user, SignedInUser)
    return user.caller
