"""The layout of a command's help: its own options, then how it reaches a workspace, then every setting."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

OWN = "Options"
WORKSPACE = "Workspace"
SETTINGS = "Settings"

EXIT_CODES_HELP = """\
Exit codes: 0 done; 1 defect, an edit left unfinished, or a file that could not be written; 2 wrong argument or
setting; 3 not configured; 4 not signed in or not allowed; 5 no such model, or it cannot do that; 6 refused by the
model or a content filter; 7 rate limit or budget; 8 workspace unreachable or failing; 9 out of time; 130 interrupted;
141 output closed; 143 terminated."""

_INTRODUCTIONS: Mapping[str, str] = {
    SETTINGS: "Each is also an environment variable, named in brackets; the option wins. A token is taken from the "
    "environment only: DATABRICKS_TOKEN.",
}


_HYPHEN = "\u2011"
"""A hyphen at which lines are not broken; it replaces the usual one until the help is written."""


def _unbreakable(text: str) -> str:
    return text.replace("-", _HYPHEN)


class SectionedOption(click.Option):
    """An option that is shown in a separate section of the help."""

    def __init__(self, *args: Any, section: str = OWN, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class WholeNames(click.HelpFormatter):
    """Breaks lines only between words: names contain hyphens, and a broken one cannot be copied."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(_unbreakable(prog), _unbreakable(args), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(_unbreakable(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(term, _unbreakable(text)) for term, text in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_HYPHEN, "-")


class NamingContext(click.Context):
    """A context whose help does not break names."""

    formatter_class = WholeNames


class SectionedCommand(click.Command):
    """A command whose help has its options in sections, and the exit codes at the end."""

    context_class = NamingContext

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("epilog", EXIT_CODES_HELP)
        super().__init__(*args, **kwargs)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {OWN: [], WORKSPACE: [], SETTINGS: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections[getattr(parameter, "section", OWN)].append(record)
        for title, records in sections.items():
            if not records:
                continue
            with formatter.section(title):
                if introduction := _INTRODUCTIONS.get(title):
                    formatter.write_text(introduction)
                    formatter.write_paragraph()
                formatter.write_dl(records, col_max=27)
