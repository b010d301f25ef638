"""From the exception that ended a command to its exit code and to a message on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from databricks_responses_mcp.cli.advice import terminal_words
from databricks_responses_mcp.cli.printing import OutputClosedError, write_json
from databricks_responses_mcp.cli.running import INTERRUPTED, TERMINATED, StoppedError, TerminatedError
from databricks_responses_mcp.cli.wrapping import wrapped
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.visible import LINES, visible

EXIT_CODES = {
    ErrorCode.INVALID_ARGUMENT: 2,
    ErrorCode.NOT_CONFIGURED: 3,
    ErrorCode.UNAUTHENTICATED: 4,
    ErrorCode.PERMISSION_DENIED: 4,
    ErrorCode.MODEL_NOT_FOUND: 5,
    ErrorCode.NOT_FOUND: 5,
    ErrorCode.UNSUPPORTED_BY_MODEL: 5,
    ErrorCode.CONTENT_FILTERED: 6,
    ErrorCode.TOO_LARGE: 2,
    ErrorCode.RATE_LIMITED: 7,
    ErrorCode.BUDGET_EXCEEDED: 7,
    ErrorCode.UPSTREAM_UNAVAILABLE: 8,
    ErrorCode.UPSTREAM_ERROR: 8,
    ErrorCode.TIMEOUT: 9,
    ErrorCode.CANCELLED: 130,
    ErrorCode.INTERNAL: 1,
}
"""The exit codes of failed commands."""

OUTPUT_CLOSED = 141


def first_of(error: BaseException) -> BaseException:
    """Return the cause: task groups wrap exceptions, and a command fails for one reason."""
    while isinstance(error, BaseExceptionGroup):
        # An end of stdout's reader or a failure cancels the rest; the first exception is the cause.
        error = error.exceptions[0]
    return error


def exit_code_of(error: BaseException) -> int | None:
    """Print the failure on stderr and return the exit code; None for a defect, which gets a traceback."""
    error = first_of(error)
    if isinstance(error, BridgeError):
        tell(error)
        return EXIT_CODES[error.code]
    if isinstance(error, KeyboardInterrupt | StoppedError | click.Abort):
        return INTERRUPTED
    if isinstance(error, TerminatedError):
        return TERMINATED
    if isinstance(error, OutputClosedError | BrokenPipeError):
        return OUTPUT_CLOSED
    if isinstance(error, click.ClickException):
        error.show(sys.stderr)
        return error.exit_code
    return None


def tell(error: BridgeError) -> None:
    """Print the error on stderr: what happened, and on the next line what to do."""
    head = wrapped(f"{error.code.value}: {visible(error.message, keep=LINES)}", sys.stderr)
    # Coloured after its lines are wrapped: escape sequences have no width.
    click.echo(click.style(error.code.value, fg="red") + head.removeprefix(error.code.value), err=True)
    more = [error.full_hint(terminal_words)]
    if error.retry_after_seconds is not None:
        more.append(f"Retry after {error.retry_after_seconds:g} s.")
    if error.request_id:
        more.append(f"Request id: {error.request_id}.")
    if advice := " ".join(part for part in more if part):
        click.echo(wrapped(f"  {visible(advice, keep=LINES)}", sys.stderr), err=True)
    for picture in error.partial.get("images", []):
        kept = visible(str(picture.get("path") or picture.get("uri")))
        click.echo(f"  Received before that: {kept}", err=True)


@contextmanager
def failing_as_json(wanted: bool) -> Iterator[None]:
    """Print a failure in the context on stdout as JSON too, if ``wanted``, with what had arrived before it."""
    try:
        yield
    except Exception as raised:
        error = first_of(raised)
        if wanted and isinstance(error, BridgeError):
            write_json({**error.partial, "status": "failed", "error": error.as_dict(terminal_words)})
        raise
