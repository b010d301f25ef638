"""Failures of signing in with the Databricks SDK, as advice. A table: the first row whose pattern matches counts."""

import configparser
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.workspace.profiles import unreadable
from databricks_responses_mcp.workspace.redaction import clean, looks_like_html

_WAYS_TO_SIGN_IN = (
    "Set DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile of ~/.databrickscfg in DATABRICKS_CONFIG_PROFILE, or "
    "set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET beside the host."
)
_SIGN_IN_OR_TRY = (Action.SIGN_IN, Action.TRY_EMBEDDED)


@dataclass(frozen=True, slots=True)
class _Row:
    pattern: str
    code: ErrorCode
    says: str
    hint: str
    advice: tuple[Action, ...] = ()
    retryable: bool = False
    quoted: bool = True


_ROWS = (
    _Row(
        # The SDK continues without the answer that it needs, and fails at the missing address.
        r"invalid url 'none'",
        ErrorCode.UPSTREAM_UNAVAILABLE,
        "The workspace did not say where to sign in: it cannot be reached, or the address is not a workspace's",
        "Check {host}, the network and any proxy.",
        (Action.RUN_DOCTOR,),
        retryable=True,
        quoted=False,
    ),
    _Row(
        r"more than one authorization method configured",
        ErrorCode.NOT_CONFIGURED,
        "It is not clear how to sign in",
        "Unset all but one, or choose one with DATABRICKS_AUTH_TYPE (pat, oauth-m2m, azure-cli, databricks-cli, …).",
    ),
    _Row(
        r"timed out|timeout|max retries exceeded|connection (?:refused|reset|aborted|error)|failed to resolve|"
        r"failed to establish|name or service not known|temporary failure in name resolution|getaddrinfo|unreachable|"
        r"connectionerror",
        ErrorCode.UPSTREAM_UNAVAILABLE,
        "The workspace could not be reached to sign in",
        "Check {host}, the network and any proxy.",
        (Action.RUN_DOCTOR,),
        retryable=True,
    ),
    _Row(
        r"certificate|ssl",
        ErrorCode.UPSTREAM_UNAVAILABLE,
        "No trusted connection to the workspace could be made to sign in",
        "A proxy that inspects TLS may be in the way: point REQUESTS_CA_BUNDLE and SSL_CERT_FILE at its certificates.",
    ),
    _Row(
        r"databricks-cli:|databricks auth login|refresh token",
        ErrorCode.UNAUTHENTICATED,
        "The Databricks CLI has no valid sign-in",
        "",
        (Action.SIGN_IN,),
    ),
    _Row(
        r"azure-cli:|az login|AADSTS",
        ErrorCode.UNAUTHENTICATED,
        "The Azure sign-in was not accepted",
        "Run `az login` with the tenant of the workspace (or check the ARM_* variables) and ask again.",
    ),
    _Row(
        r"oauth-m2m:|invalid_client|client authentication failed|unauthorized_client",
        ErrorCode.UNAUTHENTICATED,
        "The service principal was not accepted",
        "Check {principal}, and that the principal belongs to this workspace.",
    ),
    _Row(
        r"cannot configure default credentials",
        ErrorCode.NOT_CONFIGURED,
        "No way to sign in to the workspace is configured",
        _WAYS_TO_SIGN_IN,
        _SIGN_IN_OR_TRY,
    ),
    _Row(
        r"cannot get access token|cannot unmarshal CLI result",
        ErrorCode.UNAUTHENTICATED,
        "The program that signs in gave no token",
        "For an Azure sign-in, run `az login`.",
        (Action.SIGN_IN,),
    ),
)
_PROGRAMS = {
    "databricks-cli": ("the Databricks CLI", "Install it, or point DATABRICKS_CLI_PATH at it"),
    "azure-cli": ("the Azure CLI (az)", "Install it and run `az login`"),
}


def sign_in_error(
    error: BaseException,
    *,
    target: str,
    profile: str = "",
    kind: str,
    environ: Mapping[str, str],
    missing_program: bool,
) -> BridgeError:
    """Explain why the SDK could not sign in.

    Args:
        error: the exception of the SDK.
        target: the option of ``databricks auth login`` for this workspace: ``--profile X`` or ``--host URL``.
        profile: the profile that is signed in with, if one was named: then it is the cause, not the environment.
        kind: the requested kind of sign-in, if any, for example ``azure-cli``.
        environ: the environment, for the path of the file of profiles.
        missing_program: the program that ``kind`` needs is not installed.
    """
    if isinstance(error, BridgeError):
        return replace(error, partial={})
    if isinstance(error, configparser.Error):
        return unreadable(error, environ)
    if isinstance(error, ImportError):
        return BridgeError(
            ErrorCode.INTERNAL,
            "The package databricks-sdk, which this kind of sign-in needs, cannot be imported.",
            "Install this program again; a host and a token in the environment work without that package.",
        )
    if isinstance(error, subprocess.TimeoutExpired):
        return BridgeError(
            ErrorCode.TIMEOUT,
            "The program that signs in (the Databricks or Azure CLI) did not end in time and was stopped.",
            "Sign in on a terminal and see what it asks; for an Azure sign-in, run `az login`.",
            retryable=True,
            advice=(Advice(Action.SIGN_IN, target),),
        )
    text = _telling_part(f"{error}") or type(error).__name__
    if missing_program and kind in _PROGRAMS and "cannot configure default credentials" in text:
        program, remedy = _PROGRAMS[kind]
        return BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"The workspace is configured to be signed in to with {program}, which is not on PATH.",
            f"{remedy}; a host that starts this server may have another PATH than the terminal.",
        )
    searched = f"{type(error).__name__} {text}"
    for row in _ROWS:
        if re.search(row.pattern, searched, re.IGNORECASE):
            return BridgeError(
                row.code,
                _join(row.says, text if row.quoted else ""),
                row.hint.format(target=target, **_blamed(profile)).replace("  ", " "),
                row.retryable,
                advice=tuple(Advice(one, target if one is Action.SIGN_IN else "") for one in row.advice),
            )
    return BridgeError(
        ErrorCode.UNAUTHENTICATED,
        _join("Signing in to the workspace failed", text),
        "",
        advice=(Advice(Action.SIGN_IN, target), Advice(Action.RUN_DOCTOR)),
    )


def no_workspace() -> BridgeError:
    """Return the error for a process without any configured workspace."""
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        "No Databricks workspace is configured.",
        _WAYS_TO_SIGN_IN,
        advice=tuple(map(Advice, _SIGN_IN_OR_TRY)),
    )


def _blamed(profile: str) -> dict[str, str]:
    """Return where host and service principal were configured, for hints."""
    if profile:
        return {
            "host": f"the host of the profile {profile}",
            "principal": f"client_id and client_secret of the profile {profile}",
        }
    return {"host": "DATABRICKS_HOST", "principal": "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"}


def _join(says: str, text: str) -> str:
    return f"{says}: {text.rstrip('. ')}." if text else f"{says}."


def _telling_part(text: str) -> str:
    """Return the SDK's message without its configuration, links and paths of this machine."""
    if looks_like_html(text):
        # The SDK quotes the page of a proxy, which is not useful here.
        text = f"{text[: text.find('<')].strip(' :')} (an HTML page)"
    text = re.split(r"\. (?:Config|Env): |, please check https?://", text, maxsplit=1)[0]
    text = re.sub(r"(?:default auth: |validate: |resolve: )", "", text)
    text = re.sub(r"(?<![\w/:.])(?:~|[A-Za-z]:)?(?:[\\/][\w.@ \-]{1,64}?){1,16}[\\/]([\w.\-]+)", r"\1", text)
    return clean(text, 300)
