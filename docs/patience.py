"""The part of the page of long calls that is made from what is known of each host."""

from databricks_responses_mcp.calls.handoff import patience_with
from databricks_responses_mcp.hosts.limits import KNOWN, UNKNOWN, HostLimits
from databricks_responses_mcp.hosts.registry import HOSTS


def patience_table() -> str:
    """After what time each host gives a call up, and when it is handed over."""
    titles = {host.key: host.title for host in HOSTS}
    rows = ["| host | gives a call up after | handed over after | how that is known |", "|---|---|---|---|"]
    rows += [_row(titles.get(limits.key, limits.key), limits) for limits in KNOWN]
    return "\n".join([*rows, _row("any other", UNKNOWN)])


def _row(title: str, limits: HostLimits) -> str:
    given_up = "never" if limits.call_seconds is None else f"{limits.call_seconds:.0f} s"
    handed_over = f"{patience_with(limits, has_progress=False):.0f} s"
    if limits.progress_extends:
        given_up += " without progress"
        handed_over += f"; with progress {patience_with(limits, has_progress=True):.0f} s"
    return f"| {title} | {given_up} | {handed_over} | {limits.evidence} |"
