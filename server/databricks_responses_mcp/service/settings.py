"""Settings of a service for a team: environment variables that only ``serve --http`` reads."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from databricks_responses_mcp.service.listening import PATH
from databricks_responses_mcp.workspace.host import is_loopback
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.settings import SERVICE_PREFIX, TELLING, Doc, read_model, wrong_settings

ASYMMETRIC_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""The algorithms that access tokens may be signed with. A symmetric one would let this service sign tokens."""

MAX_CONNECTIONS = 2000
"""The default of `ServiceSettings.max_connections`."""

_MIN_KEY_BYTES = 32
_HOST_NAME = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_PARTS_OF_VOLUME = 5
_PART = re.compile(r"(?!\.{1,2}$)[^\x00-\x1f/\\%?#]{1,255}")


class ServiceSettings(BaseModel):
    """The settings of a service, validated; they never change. Build it with `load_service_settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    public_url: Annotated[
        str | None,
        Doc(
            "The URL of the MCP endpoint as clients reach it. It is the resource that OAuth tokens are issued for, and "
            "its host is accepted in requests.",
            "an https:// URL such as https://mcp.example.com/mcp; http:// for this machine only",
        ),
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...],
        Doc(
            "Other host names that requests may be addressed to, such as the one that a proxy uses.",
            "names without a port, separated by commas",
            default="not set",
        ),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...],
        Doc(
            "The web pages that may call the service from a browser (CORS).",
            "origins such as https://tools.example.com, separated by commas",
            default="not set: no CORS",
        ),
    ] = ()

    oauth_issuer: Annotated[
        str | None,
        Doc(
            "The issuer of the OAuth access tokens that clients sign in with.",
            "an https:// URL, exactly as in the tokens' iss; http:// for this machine only",
        ),
    ] = None
    oauth_audience: Annotated[
        str | None,
        Field(max_length=1000),
        Doc(
            "The audience (aud) that access tokens must have.",
            "one value, exactly as in the tokens",
            default="the URL in RESPONSES_MCP_SERVICE_PUBLIC_URL",
        ),
    ] = None
    oauth_scopes: Annotated[
        tuple[str, ...],
        Doc(
            "The scopes that access tokens must have.",
            "scopes separated by commas",
            default="not set: none",
        ),
    ] = ()
    oauth_algorithms: Annotated[
        tuple[str, ...],
        Doc(
            "The algorithms that access tokens may be signed with.",
            f"of {', '.join(ASYMMETRIC_ALGORITHMS)}, separated by commas",
            default="all of these",
        ),
    ] = ASYMMETRIC_ALGORITHMS
    oauth_jwks_url: Annotated[
        str | None,
        Doc(
            "The URL of the issuer's public keys.",
            "an https:// URL; http:// for this machine only",
            default="the jwks_uri in the issuer's metadata",
        ),
    ] = None

    oauth_name_claim: Annotated[
        str | None,
        Field(min_length=1, max_length=200),
        Doc(
            "The claim of access tokens with the user's name, by which the policy gives rights. Name one that users "
            "cannot choose.",
            "the name of a claim, such as upn",
            default="email unless email_verified is false, else preferred_username",
        ),
    ] = None

    keys_file: Annotated[
        Path | None,
        Doc(
            "The file of the static keys that clients may sign in with; `keys add NAME` writes it.",
            "an absolute path or a path that starts with ~",
        ),
    ] = None
    state_keys: Annotated[
        SecretStr | None,
        Doc(
            "The keys that seal the state which a client returns with its user's answers; the same on all replicas. "
            "The first one seals, all of them unseal.",
            f"random keys of at least {_MIN_KEY_BYTES} characters, separated by commas",
            default="a new one at each start, for a single replica",
        ),
    ] = None
    policy: Annotated[
        Path | None,
        Doc(
            "The policy file (TOML): what each user may do, budgets and rates.",
            "an absolute path or a path that starts with ~",
            default="not set: users may do what the server can do",
        ),
    ] = None
    audit: Annotated[
        Path | Literal["table"] | None,
        Doc(
            "Where each call is recorded, without its text: a file of JSON lines, or the table audit of the store.",
            "an absolute path or a path that starts with ~, table, or off",
            default="off",
        ),
    ] = None
    audit_strict: Annotated[
        bool,
        Doc(
            "Whether a call is recorded before it may spend anything, on the disk, and is refused if that fails.",
            "true or false",
        ),
    ] = False
    audit_max_bytes: Annotated[
        int,
        Field(ge=10_000, le=10**12),
        Doc("The size at which the file of the audit log is renamed and a new one begun, in bytes.", "10000 or more"),
    ] = 100_000_000
    audit_max_files: Annotated[
        int,
        Field(ge=1, le=1000),
        Doc("The number of renamed files of the audit log that stay.", "a whole number from 1 to 1000"),
    ] = 10
    audit_days: Annotated[
        int,
        Field(ge=0, le=36_500),
        Doc(
            "How many days a record of the audit log stays in the table. 0 keeps it forever.",
            "a whole number, 0 or more",
        ),
    ] = 0
    max_connections: Annotated[
        int,
        Field(ge=10, le=100_000),
        Doc("The most connections that are open at a time.", "a whole number from 10 to 100000"),
    ] = MAX_CONNECTIONS

    database_connections: Annotated[
        int,
        Field(ge=1, le=100),
        Doc(
            "The most connections of a replica to the PostgreSQL database in RESPONSES_MCP_STORE. Users share them.",
            "a whole number from 1 to 100",
        ),
    ] = 10
    lakebase_endpoint: Annotated[
        str | None,
        Field(pattern=r"^projects/[^/\s]+/branches/[^/\s]+/endpoints/[^/\s]+$", max_length=1000),
        Doc(
            "The Lakebase endpoint (autoscaling) that issues a credential for each connection to the database.",
            "projects/PROJECT/branches/BRANCH/endpoints/ENDPOINT",
        ),
    ] = None
    lakebase_instance: Annotated[
        str | None,
        Field(pattern=r"^[^/\s]+$", max_length=1000),
        Doc(
            "The Lakebase instance (provisioned) that issues a credential for each connection to the database.",
            "the name of an instance",
        ),
    ] = None

    max_users: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Doc(
            "The most users with caches in one process; above that the caches of the least recently seen users are "
            "dropped. Nothing that is stored is lost.",
            "a whole number",
        ),
    ] = 1000
    user_idle_seconds: Annotated[
        float,
        Field(ge=1, le=30 * 86_400),
        Doc("The time after which the caches of a user who sends no request are dropped.", "seconds"),
    ] = 3600.0
    token_exchange: Annotated[
        bool,
        Doc(
            "Whether the OAuth token of each request is exchanged for a token of the workspace (Databricks token "
            "federation), so that the workspace sees the user; otherwise it sees the service.",
            "true or false",
            default="false",
        ),
    ] = False
    pictures: Annotated[
        str | None,
        Field(max_length=1024),
        Doc(
            "Where the users' pictures are: a Unity Catalog volume or a folder in one, which the Files API writes with "
            "the user's token, or a directory of this machine. Each user has a folder there.",
            "/Volumes/CATALOG/SCHEMA/VOLUME[/FOLDER], or another absolute path",
            default="RESPONSES_MCP_IMAGE_DIR",
        ),
    ] = None

    @field_validator("public_url", mode="after")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _url(value, with_query=False)
        return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/') or PATH}"

    @field_validator("oauth_issuer", mode="after")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if value is not None:
            _url(value, with_query=False)
        return value

    @field_validator("oauth_jwks_url", mode="after")
    @classmethod
    def _keys_url(cls, value: str | None) -> str | None:
        if value is not None:
            _url(value, with_query=True)
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _host_names(cls, value: object) -> object:
        names = tuple(name.lower() for name in _list(value))
        if not all(map(_HOST_NAME.fullmatch, names)):
            raise ValueError("no host names")
        return names

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        origins = tuple(origin.lower().rstrip("/") for origin in _list(value))
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or origin != f"{parts.scheme}://{parts.netloc}"
                or not parts.netloc
            ):
                raise ValueError("no origins")
        return origins

    @field_validator("oauth_scopes", mode="before")
    @classmethod
    def _scopes(cls, value: object) -> object:
        scopes = _list(value)
        if not all(map(_SCOPE.fullmatch, scopes)):
            raise ValueError("no scopes")
        return scopes

    @field_validator("oauth_algorithms", mode="before")
    @classmethod
    def _algorithms(cls, value: object) -> object:
        algorithms = _list(value)
        if not algorithms or not set(algorithms) <= set(ASYMMETRIC_ALGORITHMS):
            raise ValueError("no algorithms")
        return algorithms

    @field_validator("audit", mode="before")
    @classmethod
    def _audit(cls, value: object) -> object:
        word = value.strip().lower() if isinstance(value, str) else value
        return None if word == "off" else "table" if word == "table" else value

    @field_validator("keys_file", "policy", "audit", mode="after")
    @classmethod
    def _absolute(cls, value: Path | Literal["table"] | None) -> Path | Literal["table"] | None:
        if not isinstance(value, Path):
            return value
        path = value.expanduser()
        if not path.is_absolute():
            raise ValueError("not absolute")
        return path

    @field_validator("state_keys", mode="after")
    @classmethod
    def _strong_keys(cls, value: SecretStr | None) -> SecretStr | None:
        keys = _list(value.get_secret_value()) if value is not None else ()
        if value is not None and (not keys or len(set(keys)) < len(keys)):
            raise ValueError("no keys, or the same one twice")
        if any(len(key.encode()) < _MIN_KEY_BYTES for key in keys):
            raise ValueError("too short")
        return value

    @field_validator("pictures")
    @classmethod
    def _place_of_pictures(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = value.rstrip("/").split("/")
        if parts[:2] != ["", "Volumes"]:
            if not Path(value).is_absolute():
                raise PydanticCustomError(TELLING, "it must be an absolute path")
            return value
        if len(parts) < _PARTS_OF_VOLUME or not all(_PART.fullmatch(part) for part in parts[1:]):
            raise PydanticCustomError(TELLING, "it must be /Volumes/CATALOG/SCHEMA/VOLUME or a folder below that")
        return "/".join(parts)

    @property
    def state_key_ring(self) -> tuple[str, ...]:
        """The keys of `state_keys`, the one that seals first."""
        return () if self.state_keys is None else _list(self.state_keys.get_secret_value())


def load_service_settings(environ: Mapping[str, str] = os.environ, *, secrets: SecretValues) -> ServiceSettings:
    """Read the settings ``RESPONSES_MCP_SERVICE_*`` from the environment.

    Args:
        secrets: texts that no error may show; the secrets among the settings are added to it.

    Raises:
        BridgeError: ``invalid_argument``, naming every wrong value and every unknown name.
    """
    settings, problems = read_model(ServiceSettings, environ, SERVICE_PREFIX)
    if settings is not None:
        secrets.add(*settings.state_key_ring)
    if settings is None or problems:
        raise wrong_settings(problems, secrets)
    return settings


def _list(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError("no list")
    return tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))


def _url(text: str, *, with_query: bool) -> SplitResult:
    """Return the parts of a URL that may be used for signing in."""
    try:
        parts = urlsplit(text)
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _telling("it is not a URL") from None
    if not name or parts.fragment or (parts.query and not with_query) or "@" in parts.netloc or not text.isascii():
        raise _telling("it takes a URL such as https://mcp.example.com/mcp, without a user name, query or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(name)):
        raise _telling("it takes an https:// URL; http:// is for this machine only, because tokens must not be read")
    return parts


def _telling(problem: str) -> PydanticCustomError:
    return PydanticCustomError(TELLING, "{problem}", {"problem": problem})
