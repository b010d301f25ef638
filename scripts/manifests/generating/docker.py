"""The container image, and its entry in Docker's MCP catalog."""

import json
from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.tools.definitions import published_tools
from generating.databricks_app import EXTRAS
from generating.rendering import as_json, as_text

BASE = "python:3.13-slim-trixie"
# A container has no profiles, and a folder of its own for pictures.
_FILLED_IN = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "RESPONSES_MCP_MODEL")
PROBE = "databricks_responses_mcp.service.probe"
_BUILT = ("pyproject.toml", "README.md", "LICENSE", "server")


def image_files() -> dict[str, bytes]:
    """What ``docker build`` reads, at the top of the repository, where the catalog looks for it."""
    labels = {
        "io.modelcontextprotocol.server.name": SERVER.registry_name,
        "org.opencontainers.image.title": SERVER.title,
        "org.opencontainers.image.description": SERVER.summary,
        "org.opencontainers.image.version": SERVER.version,
        "org.opencontainers.image.source": SERVER.repository,
        "org.opencontainers.image.licenses": SERVER.license,
    }
    return {
        "Dockerfile": as_text(
            "# Made by scripts/manifests/generate.py.",
            f"# docker build -t {SERVER.distribution} .",
            f"# docker run --rm -i -e DATABRICKS_HOST -e DATABRICKS_TOKEN -v {SERVER.distribution}:/data "
            f"{SERVER.distribution}",
            f"FROM {BASE} AS build",
            "WORKDIR /src",
            "COPY pyproject.toml README.md LICENSE ./",
            "COPY server server",
            "# The environment gets no pip: the one outside fills it.",
            "# Its versions are those that pyproject.toml allows.",
            "# hadolint ignore=DL3013",
            f"RUN python -m venv --without-pip /opt/app && pip --python /opt/app install --no-cache-dir '.[{EXTRAS}]'",
            "",
            f"FROM {BASE}",
            "LABEL " + " \\\n      ".join(f"{name}={json.dumps(value)}" for name, value in labels.items()),
            "# Conversations and pictures; mount a volume there to keep them. The server can write nowhere else.",
            "RUN useradd --no-create-home --home-dir /home/app --uid 10001 app \\",
            "    && install -d /home/app && install -d -o app -g app /data /data/pictures",
            "COPY --from=build /opt/app /opt/app",
            "ENV PATH=/opt/app/bin:$PATH \\",
            "    PYTHONDONTWRITEBYTECODE=1 \\",
            "    XDG_DATA_HOME=/data \\",
            "    RESPONSES_MCP_IMAGE_DIR=/data/pictures",
            "USER 10001",
            "WORKDIR /home/app",
            "# Of `serve --http 0.0.0.0:8000`. Over stdio nothing listens there, and the check succeeds.",
            "EXPOSE 8000",
            "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \\",
            f'    CMD ["python", "-m", "{PROBE}"]',
            f'ENTRYPOINT ["{SERVER.distribution}"]',
        ),
        ".dockerignore": as_text(
            "# Made by scripts/manifests/generate.py: what the image is built from, and nothing else.",
            "*",
            *(f"!{name}" for name in _BUILT),
            "**/__pycache__",
        ),
    }


def catalog_files() -> dict[str, bytes]:
    """The entry, as ``servers/NAME`` of the catalog's repository has it."""
    return {
        "server.yaml": _server(),
        "tools.json": as_json([_tool(tool.model_dump(by_alias=True)) for tool in published_tools()]),
    }


def _server() -> bytes:
    name = SERVER.distribution
    asked = [variable for variable in SERVER.variables if variable.name in _FILLED_IN]
    entry = {
        "name": name,
        "image": f"mcp/{name}",
        "type": "server",
        "meta": {"category": "ai", "tags": list(SERVER.keywords)},
        # The catalog wants every word with a capital.
        "about": {"title": SERVER.title.title(), "description": SERVER.summary},
        "source": {
            "project": SERVER.repository,
            # The released commit goes here when the entry is handed in: no file can name the commit that holds it.
            "commit": "0" * 40,
        },
        "run": {"volumes": [f"{name}:/data"]},
        "config": {
            "description": "Where the workspace is, and how to sign in",
            "secrets": [
                {"name": f"{name}.{variable.key}", "env": variable.name, "example": "<TOKEN>"}
                for variable in asked
                if variable.secret
            ],
            "env": [
                {"name": variable.name, "example": variable.example, "value": f"{{{{{name}.{variable.key}}}}}"}
                for variable in asked
                if not variable.secret
            ],
            "parameters": {
                "type": "object",
                "properties": {
                    variable.key: {"type": "string", "description": _without_profile(variable.description)}
                    for variable in asked
                    if not variable.secret
                },
                "required": ["host"],
            },
        },
    }
    return ("\n".join(_yaml(entry)) + "\n").encode()


def _without_profile(description: str) -> str:
    return description.replace("; not needed with a profile.", ".")


def _yaml(value: dict[str, Any]) -> list[str]:
    """Block style as the catalog's formatter leaves it; every text that is more than a word in double quotes."""
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{key}:", *(f"  {line}" for line in _yaml(item))]
        elif isinstance(item, list):
            lines.append(f"{key}:")
            for element in item:
                inner = _yaml(element) if isinstance(element, dict) else [_scalar(element)]
                lines += [f"  {'-' if index == 0 else ' '} {line}" for index, line in enumerate(inner)]
        else:
            lines.append(f"{key}: {_scalar(item)}")
    return lines


def _scalar(text: str) -> str:
    plain = text.replace("-", "").replace("_", "").replace("/", "").isalnum() and not text.isdigit()
    return text if plain else json.dumps(text, ensure_ascii=False)


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    schema = tool["inputSchema"]
    required = schema.get("required", [])
    return {
        "name": tool["name"],
        "description": tool["description"],
        "arguments": [_argument(name, field, name in required) for name, field in schema["properties"].items()],
        "annotations": {name: hint for name, hint in tool["annotations"].items() if hint is not None},
    }


def _argument(name: str, field: dict[str, Any], required: bool) -> dict[str, Any]:
    argument: dict[str, Any] = {"name": name, "type": field["type"], "desc": field["description"]}
    if "items" in field:
        argument["items"] = {"type": field["items"]["type"]}
    if not required:
        argument["optional"] = True
    return argument
