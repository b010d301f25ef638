"""The users of a workspace, their tokens, and their permissions."""

import secrets
import time
from dataclasses import dataclass, field

_TOKEN_SECONDS = 3600


@dataclass(eq=False)
class User:
    """A user, or a service principal.

    Attributes:
        name: the name in the request log.
        unseen_endpoints: names of serving endpoints that the user may not see.
        unreadable_volumes: volumes, as ``catalog.schema.volume``, that the user may neither read nor write.
    """

    name: str
    unseen_endpoints: set[str] = field(default_factory=set)
    unreadable_volumes: set[str] = field(default_factory=set)


class Users:
    """The users who may sign in.

    Attributes:
        first: who signs in with the token of the workspace's state, and sees everything.
        federated: users by the subject of the JWTs that they may exchange for a token of the workspace.
        principals: service principals, with their secrets, by client id.
        exchanged_seconds: how long a token is valid that was exchanged, or issued to a service principal.
    """

    def __init__(self) -> None:
        self.first = User("first")
        self.federated: dict[str, User] = {}
        self.principals: dict[str, tuple[str, User]] = {}
        self.exchanged_seconds = _TOKEN_SECONDS
        self._tokens: dict[str, tuple[User, float | None]] = {}

    def add(self, user: User, token: str, *, seconds: float | None = None) -> User:
        """Let a user sign in with a token, for so many seconds; None for ever."""
        self._tokens[token] = (user, None if seconds is None else time.monotonic() + seconds)
        return user

    def revoke(self, token: str) -> None:
        """Revoke a token."""
        self._tokens.pop(token, None)

    def of_token(self, token: str) -> User | None:
        """Return the user, other than the first, that a token signs in; None if it is wrong or has expired."""
        # All are compared, each in constant time.
        found = [
            (user, ends)
            for known, (user, ends) in self._tokens.items()
            if secrets.compare_digest(known.encode(), token.encode())
        ]
        if not found:
            return None
        user, ends = found[0]
        return user if ends is None or time.monotonic() < ends else None
