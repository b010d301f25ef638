"""Options that several commands share: one for each setting, and those of the embedded workspace."""

import json
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from databricks_responses_mcp.cli.help import SETTINGS, WORKSPACE, SectionedOption
from databricks_responses_mcp.cli.session_options import SessionOptions as SessionOptions
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.settings import PREFIX, SettingDoc, settings_help

NAMED_TOOLS = ("web_search", "image_generation", "apply_patch", "shell")
"""The tools of the Responses API that need no definition."""

_MAX_JSON_BYTES = 4_000_000
"""The largest file of JSON that an option names."""

_F = TypeVar("_F", bound=Callable[..., Any])
_OF_A_SERVER = ("http_max_sessions", "http_session_idle_seconds")


_CONNECTION = (
    "host",
    "profile",
    "responses_path",
    "surface",
    "request_tags",
    "timeout_seconds",
    "max_retries",
    "auth_timeout_seconds",
)
_KEEPING = ("store", "store_days", "store_max_bytes")
_LOGS = ("log_level", "log_format")
LISTING = (
    "host",
    "profile",
    "model",
    "image_model",
    "model_schemas",
    "surface",
    "timeout_seconds",
    "max_retries",
    "auth_timeout_seconds",
)
"""The settings of a command that lists models."""

ASKING = (
    *_CONNECTION,
    "model",
    "check_parameters",
    "default_max_output_tokens",
    "max_output_tokens",
    "daily_token_budget",
    *_KEEPING,
)
"""The settings of a command that sends a request to a model."""

READING = ("max_file_bytes", "max_document_bytes", "max_image_bytes", "allow_private_urls")
"""The settings of a command that sends files and images to a model."""

DRAWING = (
    *_CONNECTION,
    "image_model",
    "daily_token_budget",
    "image_dir",
    "max_image_bytes",
    "allow_private_urls",
    *_KEEPING,
)
"""The settings of a command that generates images."""


def session_options(
    uses: Collection[str] | None = None, *, without: Collection[str] = (), is_server: bool = False
) -> Callable[[_F], _F]:
    """Add the shared options; the command receives them as one ``session`` argument.

    Args:
        uses: the settings that the command uses, besides those of logging; None for all.
        without: settings without an option, because the command has its own option with that name.
        is_server: whether to add the options of a server.
    """
    # Everybody on the machine can read a secret on a command line: it comes only from the environment.
    hidden = {"token", "http_token", "engine_api_key", "extra_headers", *without, *(() if is_server else _OF_A_SERVER)}
    return _options(
        {
            name: doc
            for name, doc in _docs().items()
            if name not in hidden and (uses is None or name in uses or name in _LOGS)
        }
    )


def store_options(*more: str) -> Callable[[_F], _F]:
    """Add the options of a command that sends no request to a workspace; it receives them as one ``session`` argument.

    Host and profile are included because a store can be the workspace's own database.

    Args:
        more: additional settings that the command uses.
    """
    docs = _docs()
    return _options(
        {name: docs[name] for name in ("host", "profile", "store", *more, "log_level", "log_format")}, asks=False
    )


def _options(docs: dict[str, SettingDoc], *, asks: bool = True) -> Callable[[_F], _F]:
    """Return options for these settings; with ``asks`` also those of the embedded workspace."""

    def decorate(function: _F) -> _F:
        def with_session(**given: Any) -> Any:
            overrides = {name: given.pop(name) for name in docs}
            session = SessionOptions(
                overrides,
                given.pop("embedded", False),
                given.pop("engine", None),
                click.get_current_context().ensure_object(SecretValues),
            )
            if session.engine is not None and not session.embedded:
                raise click.UsageError("--engine needs --embedded.")
            return function(session=session, **given)

        command: Any = with_session
        command.__name__ = function.__name__
        command.__doc__ = function.__doc__
        command.__click_params__ = list(getattr(function, "__click_params__", []))
        for name, doc in reversed(docs.items()):
            ours = doc.env.startswith(PREFIX)
            command = click.option(
                f"--{name.replace('_', '-')}",
                name,
                cls=SectionedOption,
                section=SETTINGS if ours else WORKSPACE,
                metavar="VALUE",
                help=f"{doc.description} Takes {doc.accepts}. [{doc.env}; default: {doc.default}]",
            )(command)
        if asks:
            command = engine_option(section=WORKSPACE)(command)
            command = click.option(
                "--embedded",
                is_flag=True,
                cls=SectionedOption,
                section=WORKSPACE,
                help="Use a simulated workspace on this machine, started for this command: no account, no key.",
            )(command)
        result: _F = command
        return result

    return decorate


def engine_option(*, section: str) -> Callable[[_F], _F]:
    """Return the option that selects the engine of the embedded workspace."""
    return click.option(
        "--engine",
        cls=SectionedOption,
        section=section,
        metavar="local|rules|URL",
        help="Engine of the embedded workspace: a small model on this machine, fixed rules, or an "
        "OpenAI-compatible server. Default: local if it can run here, else rules.",
    )


def json_option(function: _F) -> _F:
    """Add ``--json``, as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the complete result as JSON.")(function)


def images_option(text: str) -> Callable[[_F], _F]:
    """Add ``--image``, which may be repeated, as ``images``."""
    return click.option(
        "-i",
        "--image",
        "images",
        multiple=True,
        shell_complete=complete_files,
        metavar="PATH|URL",
        help=f"{text}; may be given several times.",
    )


def complete_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of files for an option."""
    return [CompletionItem(incomplete, type="file")]


def json_or_file(value: str) -> Any:
    """Return the JSON of an option, given directly or in a file.

    Raises:
        click.BadParameter: it is neither.
    """
    text = value.strip()
    where = "this"
    if not text.startswith(("{", "[")):
        where = value
        try:
            with Path(value).expanduser().open("rb") as file:
                data = file.read(_MAX_JSON_BYTES + 1)
            if len(data) > _MAX_JSON_BYTES:
                raise click.BadParameter(f"{value} is larger than {_MAX_JSON_BYTES // 1_000_000} MB.")
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise click.BadParameter(f"{value} is not text in UTF-8.") from error
        except (OSError, ValueError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no path"
            raise click.BadParameter(f"{value} is neither JSON nor a file that can be read: {reason}.") from error
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{where} is not JSON: {error}.") from error


def schema_value(_ctx: click.Context, _param: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Parse a JSON Schema, given directly or in a file; an option's callback."""
    if value is None:
        return None
    schema = json_or_file(value)
    if not isinstance(schema, dict):
        raise click.BadParameter('a schema is a JSON object, such as \'{"type": "object"}\'.')
    return schema


def tool_values(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[dict[str, Any]]:
    """Parse tool definitions, each the name of a tool of the API, a file or JSON; an option's callback."""
    tools: list[dict[str, Any]] = []
    for value in values:
        if value in NAMED_TOOLS:
            tools.append({"type": value})
            continue
        read = json_or_file(value)
        listed = read if isinstance(read, list) else [read]
        if not listed or not all(isinstance(tool, dict) for tool in listed):
            raise click.BadParameter(
                f"it takes {', '.join(NAMED_TOOLS)}, or tool definitions: a JSON object, or a list of them."
            )
        tools += listed
    return tools


def json_object(_ctx: click.Context, _param: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Parse a JSON object; an option's callback."""
    if value is None:
        return None
    try:
        parsed = json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"this is not JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise click.BadParameter('it takes a JSON object, such as \'{"service_tier": "priority"}\'.')
    return parsed


class FiniteRange(click.FloatRange):
    """A number within bounds, and not NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _docs() -> dict[str, SettingDoc]:
    return {_name(doc): doc for doc in settings_help()}


def _name(doc: SettingDoc) -> str:
    if doc.env.startswith(PREFIX):
        return doc.env.removeprefix(PREFIX).lower()
    return {"DATABRICKS_HOST": "host", "DATABRICKS_CONFIG_PROFILE": "profile", "DATABRICKS_TOKEN": "token"}[doc.env]
