"""Static keys: random bearer tokens for a lab, of which a file holds the hashes.

A line of the file is ``NAME:sha256$SALT$HASH``, both in hexadecimal. Keys have 256 random bits, so one round of SHA-256
is enough: there are too many to try. Two lines may have the same name, so that a key can be replaced.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from mcp.server.auth.provider import AccessToken

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.service.refusals import SignInError

logger = logging.getLogger(__name__)

ISSUER = "urn:databricks-responses-mcp:static-keys"
"""The issuer of the users of static keys: this service."""

KEY_PREFIX = "dbrmcp_"
"""What every key starts with, so that secret scanners can find one that was published."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_LINE = re.compile(r"(?P<name>[^:#\s]+):sha256\$(?P<salt>[0-9a-f]{32})\$(?P<hash>[0-9a-f]{64})")
_KEY_BYTES = 32
_SALT_BYTES = 16
_MAX_BYTES = 4_000_000
_CHECK_SECONDS = 1.0
_CLIENT = "static-key"


@dataclass(frozen=True, slots=True)
class HashedKey:
    """A line of the file.

    Attributes:
        name: the user of the key.
        salt: the salt of the hash.
        digest: the hash.
    """

    name: str
    salt: bytes
    digest: bytes

    def matches(self, key: bytes) -> bool:
        """Return whether this is the line of a key, in a time that does not depend on the hash."""
        return hmac.compare_digest(hashlib.sha256(self.salt + key).digest(), self.digest)


def new_key(name: str) -> tuple[str, str]:
    """Return a new key of a user, and the line of the file for it.

    Raises:
        BridgeError: ``invalid_argument`` if the name cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{quoted(name)} cannot be the name of a key.",
            "A name has up to 100 letters, digits and . _ @ + -, such as ada@example.com.",
        )
    key = KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.sha256(salt + key.encode()).hexdigest()
    return key, f"{name}:sha256${salt.hex()}${digest}"


def read_keys(path: Path) -> tuple[list[HashedKey], list[int]]:
    """Read a file of keys; returns its keys, and the numbers of the lines that are none. Blocks: call it in a thread.

    Raises:
        BridgeError: ``not_configured`` if the file cannot be read, or others may write it.
    """
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise _unreadable(path, "everybody on this machine may write it", f"Run `chmod o-w {path}`.")
            data = file.read(_MAX_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
        raise _unreadable(path, reason, "`keys add NAME` makes one.") from error
    if len(data) > _MAX_BYTES:
        raise _unreadable(path, f"it has more than {_MAX_BYTES} bytes", "Remove keys that nobody uses.")
    keys: list[HashedKey] = []
    wrong: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None or not _NAME.fullmatch(found["name"]):
            wrong.append(number)
        else:
            keys.append(HashedKey(found["name"], bytes.fromhex(found["salt"]), bytes.fromhex(found["hash"])))
    return keys, wrong


class KeyTable:
    """The keys of one state of the file.

    Args:
        keys: the lines of the file.
        token_of: returns the token of a user.
    """

    def __init__(self, keys: Sequence[HashedKey], token_of: Callable[[str], AccessToken]) -> None:
        self._keys = keys
        self._token_of = token_of
        # Of the keys that were presented, by a digest of the key. Only keys of the file are in it.
        self._tokens: dict[bytes, AccessToken] = {}

    def find(self, key: bytes) -> AccessToken | None:
        """Return the token of a key's user; None if the key is not in the file.

        The salted hash of each line is computed when a key is presented first, and not for the requests after it.
        """
        digest = hashlib.sha256(key).digest()
        if digest in self._tokens:
            return self._tokens[digest]
        # All lines are compared, so the time does not show which one matched.
        matching = [line.name for line in self._keys if line.matches(key)]
        if not matching:
            return None
        token = self._tokens[digest] = self._token_of(matching[0])
        return token


class KeyFile:
    """The keys of a file, which is read again when it has changed. It is a `TokenVerifier` of the SDK.

    A key that is removed from the file stops working within a second, even if other lines are invalid.

    Args:
        path: the file.
        scopes: the scopes that its users have.
        resource: the URL of the service, if it has one.

    Raises:
        BridgeError: ``not_configured`` if the file cannot be read, or a line of it is wrong.
    """

    def __init__(self, path: Path, scopes: tuple[str, ...] = (), resource: str | None = None) -> None:
        self._path = path
        self._scopes = scopes
        self._resource = resource
        self._lock = anyio.Lock()
        self._checked_at = time.monotonic()
        self._stamp = _stamp(path)
        keys, wrong = read_keys(path)
        self._table: KeyTable | None = KeyTable(keys, self._token_of)
        if wrong:
            raise _unreadable(
                path,
                f"line {wrong[0]} is not NAME:sha256$SALT$HASH",
                "Remove it, and add the key anew with `keys add NAME`.",
            )

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the user of a key; None if the token is not a known key.

        Raises:
            SignInError: if the file cannot be read any more.
        """
        if time.monotonic() - self._checked_at > _CHECK_SECONDS:
            await self._read_again()
        if self._table is None:
            raise SignInError(503, "The keys of this service cannot be read now. Try again.", {"Retry-After": "5"})
        return self._table.find(token.strip().encode(errors="replace"))

    def _token_of(self, user: str) -> AccessToken:
        return AccessToken(
            token="",
            client_id=_CLIENT,
            scopes=list(self._scopes),
            resource=self._resource,
            subject=user,
            claims={"iss": ISSUER, "name": user},
        )

    async def _read_again(self) -> None:
        async with self._lock:
            if time.monotonic() - self._checked_at <= _CHECK_SECONDS:
                return
            stamp = await anyio.to_thread.run_sync(_stamp, self._path)
            if stamp != self._stamp or self._table is None:
                try:
                    keys, wrong = await anyio.to_thread.run_sync(read_keys, self._path)
                    self._table = KeyTable(keys, self._token_of)
                    if wrong:
                        logger.error("RESPONSES_MCP_SERVICE_KEYS_FILE: line %s is not a key and was left out", wrong[0])
                except BridgeError as error:
                    self._table = None
                    logger.exception("RESPONSES_MCP_SERVICE_KEYS_FILE: %s", error.message)
                self._stamp = stamp
            self._checked_at = time.monotonic()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when a file is written or replaced; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unreadable(path: Path, reason: str, hint: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_CONFIGURED, f"The file of RESPONSES_MCP_SERVICE_KEYS_FILE, {path}, is wrong: {reason}.", hint
    )
