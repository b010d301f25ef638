"""Options that several commands share: one for each setting, and the embedded workspace's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from databricks_responses_mcp.workspace.settings import PREFIX, SettingDoc, settings_help

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a command reaches a workspace.

    Attributes:
        overrides: settings given as options, by setting name.
        embedded: start a workspace on this machine instead of using a real one.
        engine: what answers in the embedded workspace; None chooses.
    """

    overrides: dict[str, object]
    embedded: bool
    engine: str | None


def session_options(function: _F) -> _F:
    """Add the shared options; the command gets them as one ``session`` argument."""

    def with_session(**given: Any) -> Any:
        overrides = {name: given.pop(name) for name in names}
        session = SessionOptions(overrides, given.pop("embedded"), given.pop("engine"))
        if session.engine is not None and not session.embedded:
            raise click.UsageError("--engine goes with --embedded.")
        return function(session=session, **given)

    # A token on a command line can be read by everybody on the machine: it comes from the environment alone.
    docs = {_name(doc): doc for doc in settings_help() if doc.env != "DATABRICKS_TOKEN"}
    names = list(docs)
    command: Any = with_session
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    command.__click_params__ = list(getattr(function, "__click_params__", []))
    for name, doc in reversed(docs.items()):
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            metavar="VALUE",
            help=f"{doc.description} Takes {doc.accepts}. Environment: {doc.env}. Default: {doc.default}.",
        )(command)
    command = click.option(
        "--engine",
        metavar="local|rules|URL",
        help="What answers in the embedded workspace: a small model on this machine, fixed rules, or an "
        "OpenAI-compatible server of yours. Default: local where it can run, else rules.",
    )(command)
    command = click.option(
        "--embedded",
        is_flag=True,
        help="Use a workspace on this machine, started for this command: no account, no key.",
    )(command)
    result: _F = command
    return result


def _name(doc: SettingDoc) -> str:
    if doc.env.startswith(PREFIX):
        return doc.env.removeprefix(PREFIX).lower()
    return {"DATABRICKS_HOST": "host", "DATABRICKS_CONFIG_PROFILE": "profile"}[doc.env]
