"""Settings: what can be configured, the sources, and the errors for wrong values.

Databricks' own environment variables keep their names; all others are ``RESPONSES_MCP_*``. Each field has its
documentation next to its type, so ``--help`` and the docs come from the place that validates.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.spelling import similar_names
from databricks_responses_mcp.workspace.redaction import redact
from databricks_responses_mcp.workspace.secret_values import SecretValues

SURFACE_NAMES = (
    "auto",
    "responses",
    "open-responses",
    "chat",
    "invocations",
    "agent",
    "agent-invocations",
    "agent-chat",
    "gateway",
    "gateway-chat",
    "gemini",
    "supervisor",
)
"""The values of ``surface``: ``auto`` and the keys of ``workspace/surfaces`` that need no address."""

Model = TypeVar("Model", bound=BaseModel)

PREFIX = "RESPONSES_MCP_"
SERVICE_PREFIX = "RESPONSES_MCP_SERVICE_"
"""Settings of a service for a team: `service.settings.ServiceSettings` reads them when ``serve --http`` starts."""
MAX_SCHEMAS = 20
"""The maximum number of schemas of Unity Catalog that are listed."""
_UNFILLED = re.compile(r"\$\{user_config\.[^{}]*\}")
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{32,4096}=*")
TELLING = "telling"
"""The type of validation errors whose message describes the problem without the value."""


@dataclass(frozen=True, slots=True)
class Doc:
    """A setting's documentation: its effect and its values, as part of a sentence."""

    description: str
    accepts: str
    env: str | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One row of the settings table.

    Attributes:
        env: the environment variable.
        default: the value when it is not set, as text (``not set`` for none).
        description: its effect, in one sentence.
        accepts: the accepted values.
    """

    env: str
    default: str
    description: str
    accepts: str


class Settings(BaseModel):
    """All settings, validated. Created by `load_settings`; immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: Annotated[
        str | None,
        Doc("The workspace's address.", "a URL such as https://adb-123.4.azuredatabricks.net", env="DATABRICKS_HOST"),
    ] = None
    token: Annotated[
        SecretStr | None,
        Doc(
            "A personal access token or another bearer token of the workspace.",
            "the token alone",
            env="DATABRICKS_TOKEN",
        ),
    ] = None
    profile: Annotated[
        str | None,
        Doc(
            "The profile of ~/.databrickscfg to sign in with; used instead of DATABRICKS_HOST and DATABRICKS_TOKEN.",
            "a profile name",
            env="DATABRICKS_CONFIG_PROFILE",
        ),
    ] = None

    model: Annotated[
        str | None,
        Doc(
            "The serving endpoint to use when a call does not name one.",
            "an endpoint name",
            default="the newest GPT endpoint",
        ),
    ] = None
    image_model: Annotated[
        str | None,
        Doc(
            "The serving endpoint for images when a call does not name one.",
            "an endpoint name",
            default="the newest GPT endpoint",
        ),
    ] = None
    responses_path: Annotated[
        str,
        Field(pattern=r"^/[A-Za-z0-9_.\-/]*[A-Za-z0-9_\-]$"),
        Doc("The path of the Responses API on the workspace.", "a path that starts with /"),
    ] = "/serving-endpoints/responses"

    surface: Annotated[
        str,
        Field(pattern=rf"^(?:{'|'.join(SURFACE_NAMES)})$"),
        Doc("The API surface for all models; auto detects it for each model.", f"one of {', '.join(SURFACE_NAMES)}"),
    ] = "auto"
    model_schemas: Annotated[
        tuple[str, ...],
        Field(max_length=MAX_SCHEMAS),
        Doc(
            "Schemas of Unity Catalog whose model and MCP services are listed, in addition to system.ai.",
            f"up to {MAX_SCHEMAS} names such as production.ai, separated by commas",
            default="not set",
        ),
    ] = ()
    request_tags: Annotated[
        str | None,
        Field(max_length=4000),
        Doc(
            "Tags that requests through Unity Gateway carry, for billing.",
            'a JSON object of strings, such as {"team": "a"}',
        ),
    ] = None

    extra_headers: Annotated[
        SecretStr | None,
        Doc(
            "Headers that requests to models on the workspace carry in addition; see models.md.",
            "a JSON object of strings by header name",
        ),
    ] = None
    check_parameters: Annotated[
        bool,
        Doc(
            "Whether parameters that are documented to be answered with 400 are refused before the request is sent.",
            "true or false",
            default="true",
        ),
    ] = True

    timeout_seconds: Annotated[
        float,
        Field(ge=1, le=3600, allow_inf_nan=False),
        Doc("The longest time that one call may take, retries included, in seconds.", "a number from 1 to 3600"),
    ] = 1800
    hand_over_seconds: Annotated[
        float | None,
        Field(gt=0, le=3600, allow_inf_nan=False),
        Doc(
            "The time after which a call returns a partial result and continues for get_response, in seconds.",
            "a number above 0, up to 3600",
            default="shortly before the timeout of the host, if it is known; else 50",
        ),
    ] = None
    max_retries: Annotated[
        int,
        Field(ge=0, le=10),
        Doc(
            "How often a request that was certainly not accepted (429, 503, no connection) is retried.",
            "a whole number from 0 to 10",
        ),
    ] = 4
    auth_timeout_seconds: Annotated[
        float,
        Field(gt=0, le=600, allow_inf_nan=False),
        Doc("The longest time that signing in may take, in seconds.", "a number above 0, up to 600"),
    ] = 60
    endpoints_ttl_seconds: Annotated[
        float,
        Field(ge=0, le=86400, allow_inf_nan=False),
        Doc("How long the list of serving endpoints is cached, in seconds.", "a number from 0 to 86400"),
    ] = 300

    default_max_output_tokens: Annotated[
        int,
        Field(ge=0, le=10_000_000),
        Doc(
            "max_output_tokens of a call that does not set it; the workspace reserves it in advance. 0 sends none.",
            "a whole number, 0 or more",
        ),
    ] = 16384
    max_output_tokens: Annotated[
        int | None,
        Field(ge=16, le=10_000_000),
        Doc("The largest max_output_tokens that a call may request; more is refused.", "a whole number, 16 or more"),
    ] = None
    daily_token_budget: Annotated[
        int | None,
        Field(ge=0, le=10**15),
        Doc(
            "The tokens, input and output, that all servers on this store may use in a day (UTC).",
            "a whole number, 0 or more",
        ),
    ] = None
    max_answer_bytes: Annotated[
        int,
        Field(ge=1000, le=10**11),
        Doc(
            "The largest answer of the workspace that is read, in bytes; the content so far is kept.",
            "a whole number, 1000 or more",
        ),
    ] = 256_000_000
    max_text_tokens: Annotated[
        int,
        Field(ge=100, le=10_000_000),
        Doc(
            "The largest text in one result, in tokens; the rest is available as a resource.",
            "a whole number, 100 or more",
        ),
    ] = 20_000
    max_file_bytes: Annotated[
        int,
        Field(ge=1, le=1_000_000_000),
        Doc("The largest text file that is added to a prompt, in bytes.", "a whole number, 1 or more"),
    ] = 1_000_000
    max_document_bytes: Annotated[
        int,
        Field(ge=1, le=1_000_000_000),
        Doc("The largest document, recording or video that is sent to a model, in bytes.", "a whole number, 1 or more"),
    ] = 20_000_000

    allowed_dirs: Annotated[
        tuple[Path, ...] | Literal["*"] | None,
        Doc(
            "The directories in which tools may read files and images, change files and save images.",
            "absolute paths or paths that start with ~, separated by : (on Windows by ;), or * for all directories",
            default="the working directory, unless it is /, a home directory or the directory for temporary files",
        ),
    ] = None
    allow_secret_files: Annotated[
        bool,
        Doc(
            "Whether tools may read files that usually contain secrets: .env, keys, credentials, files in .git.",
            "true or false",
            default="false",
        ),
    ] = False

    image_dir_setting: Annotated[
        Path | None,
        Field(alias="image_dir"),
        Doc(
            "The directory in which images are saved.",
            "an absolute path or a path that starts with ~",
            default="databricks-responses-mcp in the user's pictures directory",
        ),
    ] = None
    inline_image_bytes: Annotated[
        int,
        Field(ge=0, le=100_000_000),
        Doc(
            "The largest image inside a result, in bytes of encoded JSON. 0 sends only a link.",
            "a whole number, 0 or more",
        ),
    ] = 700_000
    max_image_bytes: Annotated[
        int,
        Field(ge=1, le=1_000_000_000),
        Doc("The largest input image, in bytes.", "a whole number, 1 or more"),
    ] = 20_000_000
    allow_private_urls: Annotated[
        bool,
        Doc(
            "Whether URLs of images and files may point to loopback and private networks.",
            "true or false",
            default="false",
        ),
    ] = False

    mcp_servers: Annotated[
        SecretStr | None,
        Doc(
            "MCP servers that a model may use in addition to those of the workspace; see mcp-servers.md.",
            "a JSON object of servers by name, or the absolute path of a file that contains it",
        ),
    ] = None
    approval_timeout_seconds: Annotated[
        float,
        Field(ge=0, le=3600, allow_inf_nan=False),
        Doc(
            "How long the user has to approve an MCP call, in seconds. 0 asks nobody: the call becomes a pending call.",
            "a number from 0 to 3600",
        ),
    ] = 120
    model_approvals: Annotated[
        Literal["refuse", "allow"],
        Doc(
            "Whether the host's model may approve MCP calls when the user cannot be asked.",
            "refuse or allow",
        ),
    ] = "refuse"

    store: Annotated[
        SecretStr | None,
        Doc(
            "Where conversations, unfinished calls and usage are stored.",
            "the absolute path of an SQLite file, a postgresql:// URL, or off to keep them in memory",
            default="conversations.db in the user's data directory",
        ),
    ] = None
    store_days: Annotated[
        int,
        Field(ge=0, le=36_500),
        Doc(
            "How many days a conversation is kept after its last turn. 0 keeps it forever.", "a whole number, 0 or more"
        ),
    ] = 90
    store_max_bytes: Annotated[
        int,
        Field(ge=0, le=10**15),
        Doc(
            "The largest total size of a user's conversations in bytes; the oldest are deleted first. 0 sets no limit.",
            "a whole number, 0 or more",
        ),
    ] = 2_000_000_000

    http_token: Annotated[
        SecretStr | None,
        Doc(
            "The bearer token that clients of `serve --http` must send.",
            "at least 32 characters: letters, digits and -._~+/=",
            default="a new one at each start; it is printed",
        ),
    ] = None
    http_max_sessions: Annotated[
        int,
        Field(ge=1, le=10_000),
        Doc("The most sessions that `serve --http` keeps open.", "a whole number from 1 to 10000"),
    ] = 100
    http_session_idle_seconds: Annotated[
        float,
        Field(ge=1, le=86400, allow_inf_nan=False),
        Doc(
            "The time without a request after which `serve --http` closes a session, in seconds.",
            "a number from 1 to 86400",
        ),
    ] = 1800

    engine_api_key: Annotated[
        SecretStr | None,
        Doc("The API key of the server that --engine URL names.", "the key alone"),
    ] = None

    telemetry: Annotated[
        bool,
        Doc(
            "Whether traces and metrics are sent where the OTEL_* variables say; see telemetry.md.",
            "true or false",
            default="false",
        ),
    ] = False

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Doc("The log level; logs go to stderr.", "DEBUG, INFO, WARNING or ERROR"),
    ] = "INFO"
    log_format: Annotated[
        Literal["json", "text"],
        Doc("The format of log lines.", "json or text"),
    ] = "json"

    @field_validator("request_tags", mode="before")
    @classmethod
    def _tags(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            tags = json.loads(value)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if not isinstance(tags, dict) or not all(isinstance(tag, str) for tag in tags.values()):
            raise ValueError("no object of texts")
        return json.dumps(tags)

    @field_validator("extra_headers", mode="before")
    @classmethod
    def _sound_headers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        # Imported here: few servers have headers configured.
        from databricks_responses_mcp.workspace.extra_headers import read_headers

        try:
            read_headers(value)
        except ValueError as error:
            raise PydanticCustomError(TELLING, "{problem}", {"problem": str(error)}) from None
        return SecretStr(value)

    @field_validator("model_schemas", mode="before")
    @classmethod
    def _schema_names(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError("no list")
        # Imported here: few servers have a schema configured.
        from databricks_responses_mcp.workspace.catalog import is_schema_name

        names = tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))
        if not all(map(is_schema_name, names)):
            raise ValueError("no schemas")
        return names

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log_format", "model_approvals", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("responses_path", mode="before")
    @classmethod
    def _no_trailing_slash(cls, value: object) -> object:
        return value.rstrip("/") if isinstance(value, str) else value

    @field_validator("mcp_servers", mode="before")
    @classmethod
    def _readable_servers(cls, value: object) -> object:
        if not isinstance(value, str | Path):
            return value
        # Imported here: most servers have none configured.
        from databricks_responses_mcp.workspace.mcp_server_entries import read_entries, text_of_setting

        try:
            text = text_of_setting(str(value))
            read_entries(text)
        except ValueError as error:
            raise PydanticCustomError(TELLING, "{problem}", {"problem": str(error)}) from None
        return SecretStr(text)

    @field_validator("http_token", mode="after")
    @classmethod
    def _strong_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _BEARER_TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("no token")
        return value

    @field_validator("image_dir_setting")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else _absolute_path(value)

    @field_validator("allowed_dirs", mode="before")
    @classmethod
    def _absolute_paths(cls, value: object) -> object:
        if value is None or value == "*":
            return value
        parts = value.split(os.pathsep) if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError("no list")
        return tuple(_absolute_path(Path(part)) for part in parts if str(part).strip())

    _secrets: SecretValues = PrivateAttr(default_factory=SecretValues)

    @property
    def secrets(self) -> SecretValues:
        """The values that must not be shown: secrets in the settings, and credentials obtained with them."""
        return self._secrets

    def for_user(self, *, image_dir: Path | None) -> "Settings":
        """Return these settings for one user of a service.

        Its `secrets` hold those of these settings, and others that are added for this user alone.

        Args:
            image_dir: where the user's pictures are; None leaves it unchanged.
        """
        copy = self.model_copy(update={} if image_dir is None else {"image_dir_setting": image_dir})
        copy.__dict__.pop("image_dir", None)  # the cached value
        copy._secrets = self._secrets.for_user()
        return copy

    @cached_property
    def image_dir(self) -> Path:
        """The folder for images: the setting, else a folder in the user's pictures. It is not created here."""
        if self.image_dir_setting is not None:
            return self.image_dir_setting
        # Imported here: ``tools/list`` does not need the desktop's folders.
        from platformdirs import user_pictures_path

        return user_pictures_path() / "databricks-responses-mcp"


def _absolute_path(path: Path) -> Path:
    try:
        expanded = path.expanduser()
    except RuntimeError as error:
        raise ValueError("no home directory") from error
    # A host starts the server in a directory of its own choice, so a relative path is not reliable.
    if not expanded.is_absolute():
        raise ValueError("not absolute")
    return expanded


def load_settings(
    environ: Mapping[str, str] = os.environ,
    overrides: Mapping[str, object] | None = None,
    secrets: SecretValues | None = None,
) -> Settings:
    """Read the settings from the environment.

    An empty variable counts as unset. ``overrides`` (by setting name, as from options) take precedence; ``None`` means
    unset. The only file that is read is the one that ``mcp_servers`` may name.

    Args:
        secrets: receives the secret values, and is available as `Settings.secrets`.

    Raises:
        BridgeError: ``invalid_argument``, naming every wrong value at once, or every unknown ``RESPONSES_MCP_*`` name.
    """
    secrets = SecretValues() if secrets is None else secrets
    secrets.add_environment(environ)
    secrets.add_url(str((overrides or {}).get("store") or ""))
    settings, problems = read_model(Settings, environ, PREFIX, overrides or {}, except_for=SERVICE_PREFIX)
    if settings is not None:
        settings._secrets = secrets
        if settings.extra_headers is not None:
            from databricks_responses_mcp.workspace.extra_headers import read_headers, secret_values

            secrets.add(*secret_values(read_headers(settings.extra_headers.get_secret_value())))
        if not problems:
            return settings
    raise wrong_settings(problems, secrets)


def read_model(
    model: type[Model],
    environ: Mapping[str, str],
    prefix: str,
    overrides: Mapping[str, object] | None = None,
    *,
    except_for: str | None = None,
) -> tuple[Model | None, list[str]]:
    """Read a model of settings from the environment; returns it, unless a value is wrong, and what is wrong.

    Args:
        model: its fields are documented by `Doc`.
        prefix: of the environment variables; an unknown name that begins with it is wrong.
        overrides: values by field name that take precedence.
        except_for: a longer prefix, of the settings of another model.
    """
    known = {doc.env: name for name, doc in _fields(model, prefix)}
    problems = list(_unknown_names(environ, set(known), prefix, except_for))
    values: dict[str, object] = {}
    shown: dict[str, str] = {}
    for env, name in known.items():
        text = environ.get(env, "").strip()
        if text:
            values[name], shown[name] = text, env
    for name, value in (overrides or {}).items():
        if value is not None and value != "":
            values[name], shown[name] = value, f"option {name}"
    try:
        return model.model_validate(values), problems
    except ValidationError as error:
        return None, [*problems, *_explain(error, model, prefix, values, shown)]


def wrong_settings(problems: Sequence[str], secrets: SecretValues) -> BridgeError:
    """Return the error that names every wrong setting."""
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        secrets.remove("Wrong settings: " + "; ".join(problems) + "."),
        "Correct or remove them where the server's environment is configured; --help lists every setting.",
    )


def forget_unfilled(environ: MutableMapping[str, str]) -> None:
    """Remove each variable whose value is an unfilled field of a form: ``${user_config.token}``.

    Hosts of MCPB bundles and Claude Code plugins leave this value where an optional field is empty. The Databricks SDK
    and child processes read the environment themselves, so the variable itself must be removed.
    """
    for name in [name for name, value in environ.items() if _UNFILLED.fullmatch(value.strip())]:
        del environ[name]


def settings_help(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> list[SettingDoc]:
    """Return every setting of a model, in the order of the documentation."""
    return [doc for _, doc in _fields(model, prefix)]


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, SettingDoc]]:
    """Yield each setting by its name for callers (its alias, if it has one), with its documentation."""
    for field_name, info in model.model_fields.items():
        name = info.alias or field_name
        doc = next(item for item in info.metadata if isinstance(item, Doc))
        default: Any = info.default
        yield (
            name,
            SettingDoc(
                env=doc.env or prefix + name.upper(),
                default=doc.default or ("not set" if default is None else f"{default}"),
                description=doc.description,
                accepts=doc.accepts,
            ),
        )


def _unknown_names(environ: Mapping[str, str], known: set[str], prefix: str, except_for: str | None) -> Iterator[str]:
    for name in sorted(environ):
        if not name.upper().startswith(prefix) or name in known:
            continue
        if except_for is None or not name.upper().startswith(except_for):
            ours = [env.removeprefix(prefix) for env in known if env.startswith(prefix)]
            near = similar_names(name.upper().removeprefix(prefix), ours)
            yield f"{name} is not a setting" + (f", {prefix}{near[0]} is" if near else "")


def _explain(
    error: ValidationError,
    model: type[BaseModel],
    prefix: str,
    values: Mapping[str, object],
    shown: Mapping[str, str],
) -> Iterator[str]:
    docs = dict(_fields(model, prefix))
    seen: set[str] = set()
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if name in seen:
            continue
        seen.add(name)
        if name not in docs:
            yield f"{name} is not a setting"
            continue
        if detail["type"] == TELLING:
            yield f"{shown.get(name, docs[name].env)} is wrong: {detail['msg']}"
            continue
        value = " is wrong" if _is_secret(model, name) else f" is {_short(values.get(name))}, which is wrong"
        yield f"{shown.get(name, docs[name].env)}{value}: it takes {docs[name].accepts}"


def _is_secret(model: type[BaseModel], name: str) -> bool:
    info = model.model_fields.get(name)
    return info is not None and SecretStr in get_args(info.annotation)


def _short(value: object) -> str:
    text = ascii(value) if not isinstance(value, str) else repr(value)
    text = redact(text)
    return text if len(text) <= 80 else text[:77] + "..."
