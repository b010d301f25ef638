"""Writes the generated parts of the documentation, between their markers.

Run ``python scripts/docs/generate.py`` after changing a setting, a tool, a prompt, a host or an exit code. A test fails
if a page is out of date.
"""

from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import call_path
import host_pages
import packages

from databricks_responses_mcp.cli.errors import EXIT_CODES
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.prompts.catalogue import list_prompts
from databricks_responses_mcp.server import build_server
from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.tools.registry import all_tools
from databricks_responses_mcp.workspace.settings import SERVICE_PREFIX, settings_help
from databricks_responses_mcp.workspace.surfaces.features import features_table

DOCS = Path(__file__).parents[2] / "docs"


def settings_table() -> str:
    """Every setting, a row each."""
    rows = ["| environment variable | what it does | takes | default |", "|---|---|---|---|"]
    rows += [f"| `{doc.env}` | {doc.description} | {doc.accepts} | {doc.default} |" for doc in settings_help()]
    return "\n".join(rows)


def service_settings_table() -> str:
    """Every setting of a service for a team, a row each."""
    rows = ["| environment variable | what it does | takes | default |", "|---|---|---|---|"]
    docs = settings_help(ServiceSettings, SERVICE_PREFIX)
    rows += [f"| `{doc.env}` | {doc.description} | {doc.accepts} | {doc.default} |" for doc in docs]
    return "\n".join(rows)


def tools_reference() -> str:
    """Every tool with its arguments and the fields of its result."""
    parts: list[str] = []
    for tool in all_tools():
        assert tool.annotations is not None
        hints = ", ".join(
            f"{name.removesuffix('Hint')} {str(value).lower()}"
            for name, value in tool.annotations.model_dump(by_alias=True, exclude={"title"}).items()
        )
        parts += [f"## `{tool.name}`", tool.description.replace("\n", "\n\n"), f"Annotations: {hints}."]
        parts.append("\n".join(["| argument | type | what it is |", "|---|---|---|", *_arguments(tool.parameters)]))
        assert tool.output_schema is not None
        names = ", ".join(f"`{name}`" for name in tool.output_schema["properties"])
        parts.append(f"Structured result: {names}.")
    return "\n\n".join(parts)


def _arguments(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    return [
        f"| `{name}`{' (required)' if name in required else ''} | {_type(sub)} | {sub['description']} |"
        for name, sub in schema["properties"].items()
    ]


def _type(schema: dict[str, Any]) -> str:
    return f"list of {schema['items']['type']}s" if schema["type"] == "array" else str(schema["type"])


def prompts_reference() -> str:
    """Every prompt with its arguments."""
    rows = ["| prompt | what it does | arguments |", "|---|---|---|"]
    for prompt in list_prompts():
        arguments = [
            f"`{one.name}`{' (required)' if one.required else ''}: {one.description}" for one in prompt.arguments or ()
        ]
        rows.append(f"| `{prompt.name}` | {prompt.description} | {'<br>'.join(arguments)} |")
    return "\n".join(rows)


def resources_reference() -> str:
    """Every resource and every template of resources."""

    @asynccontextmanager
    async def nothing() -> Any:
        raise AssertionError("a list needs no workspace")
        yield

    server = build_server(nothing)
    templates = anyio.run(server.list_resource_templates)
    rows = ["| resource | what it is | type |", "|---|---|---|"]
    rows += [f"| `{one.uri}` | {one.description} | {one.mime_type} |" for one in anyio.run(server.list_resources)]
    rows += [f"| `{one.uri_template}` | {one.description} | {one.mime_type} |" for one in templates]
    return "\n".join(rows)


def exit_codes() -> str:
    """The exit code of each error code."""
    rows = ["| error code | exit code |", "|---|---|", "| none: it worked | 0 |"]
    rows += [f"| `{code.value}` | {number} |" for code, number in EXIT_CODES.items()]
    return "\n".join(rows)


GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "configuration.md": {"settings": settings_table, "service-settings": service_settings_table},
    "tools.md": {"tools": tools_reference, "prompts": prompts_reference, "resources": resources_reference},
    "errors.md": {"exit-codes": exit_codes},
    "models.md": {"features": features_table},
    "long-calls.md": {"patience": host_pages.timeouts_table},
    "command-line.md": {"portable": host_pages.portable_part},
    "maintaining/architecture.md": {"packages": packages.packages_part, "call": call_path.call_path_part},
    "hosts/README.md": {"hosts": host_pages.hosts_table},
    **{
        f"hosts/{host.key}.md": {
            "install": partial(host_pages.install_part, host),
            "file": partial(host_pages.file_part, host),
            "limits": partial(host_pages.limits_part, host),
        }
        for host in HOSTS
    },
}


def regenerate(text: str, sections: dict[str, Callable[[], str]]) -> str:
    """``text`` with each section between its markers made anew."""
    for name, make in sections.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition(end)
        text = f"{head}{begin}\n{make()}\n{end}{tail}"
    return text


if __name__ == "__main__":
    for file_name, sections in GENERATED.items():
        path = DOCS / file_name
        path.write_text(regenerate(path.read_text(encoding="utf-8"), sections), encoding="utf-8")
