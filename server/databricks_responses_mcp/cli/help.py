"""How a command's help is laid out: its own options first, then how it reaches a workspace, then every setting."""

from collections.abc import Mapping
from typing import Any

import click

OWN = "Options"
WORKSPACE = "Workspace"
SETTINGS = "Settings"

EXIT_CODES_HELP = """\
Exit codes: 0 done; 1 defect, or a file could not be written; 2 wrong argument or setting; 3 not configured; 4 not
signed in or not allowed; 5 no such model, or it cannot do that; 6 refused by the model or a content filter; 7 rate
limit or budget; 8 workspace unreachable or failing; 9 out of time; 130 interrupted; 141 output closed; 143
terminated."""

_INTRODUCTIONS: Mapping[str, str] = {
    SETTINGS: "Each is also an environment variable, named in brackets; the option wins. A token is taken from the "
    "environment only: DATABRICKS_TOKEN.",
}


class SectionedOption(click.Option):
    """An option that stands in a section of the help of its own."""

    def __init__(self, *args: Any, section: str = OWN, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose help has its options in sections, and ends with the exit codes."""

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
