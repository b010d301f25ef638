"""The limits of each MCP host for a tool call, and which part of a result its model sees.

The figures were measured on the hosts' own programs, or come from documentation and reports; ``evidence`` says which.
A host that is not listed gets ``UNKNOWN_HOST``, the strictest of the usual limits.
"""

from dataclasses import dataclass
from typing import Literal

Shows = Literal["content", "structured", "structured and images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """The limits of one host for a tool call.

    Attributes:
        key: as in ``hosts/registry.py``, if `install` supports the host.
        client_names: its names in ``clientInfo``, in lower case; a name followed by a space or a hyphen and more text
            is the same host.
        call_seconds: its timeout of a call; None if it has none.
        progress_extends: whether a progress notification restarts that timeout.
        result_bytes: the largest result that it accepts, in bytes of JSON; None if no limit is known.
        shown_tokens: how much of one result its model sees, in tokens; None if no limit is known.
        shown_bytes: the same in bytes of UTF-8.
        shown_lines: the same in lines.
        shows_errors_whole: whether its model sees both ``content`` and ``structuredContent`` of a failed result.
        accepts_links: whether a `resource_link` in a result does no harm. Agent frameworks pass one to their model as
            the address of an image, or fail the call.
        shows: which part of a result with ``structuredContent`` its model sees.
        evidence: the source of these figures.
    """

    key: str
    client_names: tuple[str, ...]
    call_seconds: float | None = 60
    progress_extends: bool = False
    result_bytes: int | None = 1_000_000
    shown_tokens: int | None = None
    shown_bytes: int | None = None
    shown_lines: int | None = None
    shows_errors_whole: bool = False
    accepts_links: bool = True
    shows: Shows = "content"
    evidence: str = "no figures known; the usual ones"


UNKNOWN_HOST = HostLimits(key="", client_names=(), accepts_links=False)

HOST_LIMITS = (
    HostLimits(
        key="claude-code",
        client_names=("claude-code",),
        call_seconds=None,
        result_bytes=None,
        shown_tokens=25_000,
        shown_bytes=48_500,
        shows="structured and images",
        evidence="run 2.1.330: a call of 901 s finished; more than 50,000 characters, or 25,000 tokens, go into a file",
    ),
    HostLimits(
        key="claude-desktop",
        client_names=("claude-ai", "claude-desktop"),
        call_seconds=60,
        evidence="reports: about 1 MB a result; 60 s in some builds, 240 s in others; progress not honoured",
    ),
    HostLimits(
        key="codex",
        client_names=("codex-mcp-client", "codex"),
        call_seconds=300,
        result_bytes=None,
        shown_bytes=11_000,
        shows="structured",
        evidence="run 0.169.0: cut at 300 s; about 12 kB of a result kept, its head and its tail",
    ),
    HostLimits(
        key="gemini-cli",
        client_names=("gemini-cli-mcp-client", "gemini-cli"),
        call_seconds=600,
        result_bytes=None,
        shown_bytes=39_000,
        shows_errors_whole=True,
        evidence="run 0.61.0: cut at 600 s, progress or not; of more than 40,000 characters, head and tail are kept",
    ),
    HostLimits(
        key="opencode",
        client_names=("opencode",),
        call_seconds=60,
        progress_extends=True,
        result_bytes=None,
        shown_bytes=48_000,
        shown_lines=1_900,
        evidence="run 1.18.33: cut at 60 s without progress, finished at 901 s with it; 50 kB or 2000 lines kept",
    ),
    HostLimits(
        key="cline",
        client_names=("cline",),
        call_seconds=60,
        evidence="documentation: 60 s, configurable from 30 s to 1 h",
    ),
    HostLimits(key="vscode", client_names=("visual studio code", "visual-studio-code", "code - oss")),
    HostLimits(key="cursor", client_names=("cursor-vscode", "cursor")),
    HostLimits(key="windsurf", client_names=("windsurf-client", "windsurf")),
    HostLimits(key="zed", client_names=("zed",)),
    HostLimits(key="continue", client_names=("continue-cli-client", "continue-client", "continue")),
    HostLimits(key="goose", client_names=("goose",)),
    HostLimits(key="copilot-cli", client_names=("github-copilot-developer",)),
    HostLimits(key="jetbrains", client_names=("jetbrains", "junie")),
    HostLimits(key="lm-studio", client_names=("lmstudio", "lm-studio")),
    HostLimits(key="kiro", client_names=("kiro",)),
)


_BY_NAME = {name: host for host in HOST_LIMITS for name in host.client_names}
_BEGINNINGS = tuple(f"{name}{end}" for name in _BY_NAME for end in "- ")


def find_limits(client_name: str | None) -> HostLimits:
    """Return the limits of the host whose ``clientInfo`` has this name; `UNKNOWN_HOST` if it is not listed."""
    name = (client_name or "").strip().lower()
    host = _BY_NAME.get(name)
    if host is None and name.startswith(_BEGINNINGS):
        host = next(_BY_NAME[known] for known in _BY_NAME if name.startswith((f"{known}-", f"{known} ")))
    return UNKNOWN_HOST if host is None else host
