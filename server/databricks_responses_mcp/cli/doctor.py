"""``doctor``: what works, what does not, and what to fix."""

import sys

import click

from databricks_responses_mcp.cli.errors import EXIT_CODES
from databricks_responses_mcp.cli.findings import Finding
from databricks_responses_mcp.cli.help import SectionedCommand
from databricks_responses_mcp.cli.options import SessionOptions, session_options
from databricks_responses_mcp.cli.phases import phases
from databricks_responses_mcp.cli.printing import prepare_streams, write_json, write_out_aside
from databricks_responses_mcp.cli.running import run_async
from databricks_responses_mcp.cli.wrapping import wrapped
from databricks_responses_mcp.errors import ErrorCode
from databricks_responses_mcp.visible import LINES, visible

_HELP = """\
Check everything that a call needs, one line for each check: versions, settings, a team's service with its policy and
the sign-in of its users, the workspace's address, the network, sign-in, the endpoints, the models, the store, a call
that costs a few tokens, the image directory, and each MCP host that the server is registered with. A failed check
says what to fix. The exit code is 0 if no check failed, otherwise the exit code of the first failure.
"""
_MARKS = {"ok": "✓", "failed": "✗", "skipped": "\N{EN DASH}"}
_PLAIN_MARKS = {"ok": "ok  ", "failed": "FAIL", "skipped": "-   "}


@click.command(cls=SectionedCommand, help=_HELP)
@click.option("--call/--no-call", default=True, help="Make the call that costs a few tokens. Default: --call.")
@click.option("--user", metavar="NAME", help="Show what the policy of a team's service lets this user do.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@session_options()
def command(session: SessionOptions, call: bool, user: str | None, as_json: bool) -> int:
    """Run the checks; the exit code is the one of the first failure."""
    from databricks_responses_mcp.cli.checks import Examination

    prepare_streams()
    findings: list[Finding] = []

    async def examine() -> ErrorCode | None:
        with phases() as shown:

            async def report(finding: Finding) -> None:
                findings.append(finding)
                if not as_json:
                    shown.clear()
                    await write_out_aside(_line(finding))

            examination = Examination(session, report, call=call, user=user)
            await examination.run()
            return examination.failure

    failure = run_async(examine)
    if as_json:
        write_json({"ok": failure is None, "checks": [finding.as_dict() for finding in findings]})
    return 0 if failure is None else EXIT_CODES[failure]


def _line(finding: Finding) -> str:
    out = sys.stdout
    mark = _MARKS[finding.status]
    try:
        mark.encode(out.encoding if out is not None else "utf-8")
    except (UnicodeEncodeError, LookupError):
        mark = _PLAIN_MARKS[finding.status]
    hint = f"  {finding.hint}\n" if finding.hint else ""
    text = f"{mark} {finding.name}: {visible(finding.detail, keep=LINES)}\n{visible(hint, keep=LINES)}"
    return wrapped(text, out)
