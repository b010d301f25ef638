"""The description of this server that `install`, every file under ``manifests/`` and the server itself use."""

from dataclasses import dataclass, field
from typing import Literal

from databricks_responses_mcp import __version__

RELEASED: bool = False
"""Whether the distribution is on PyPI, under a name that this project owns.

Until then ``uvx databricks-responses-mcp`` fails, and whoever registers the name could run code on the machine of
everybody who follows such an instruction. So nothing names it: the commands that start the server on another machine,
the ready files, the badges and the documentation all derive from this. See ``docs/maintaining/releasing.md``.
"""

DISTRIBUTION = "databricks-responses-mcp"
"""The name of the distribution on PyPI, and of the command."""

Kind = Literal["string", "directory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable that a host may ask its user for.

    Attributes:
        name: of the variable.
        key: its identifier in forms (``snake_case``).
        title: a label of a few words.
        description: one sentence.
        secret: whether it must be masked, and kept out of files that are shared.
        kind: the type of the field in a form.
        example: an example value; "" for none.
        default: the initial value in a form; "" for none.
    """

    name: str
    key: str
    title: str
    description: str
    secret: bool = False
    kind: Kind = "string"
    example: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a host starts the server over stdio.

    Attributes:
        command: an absolute path, or a name on the host's PATH.
        env: environment variables that are set for the server's process.
    """

    command: str
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


def portable_command(*, released: bool = RELEASED) -> tuple[str, ...]:
    """Return the command that starts the server on any machine: by uv, or before the release as installed."""
    return ("uvx", DISTRIBUTION) if released else (DISTRIBUTION,)


PORTABLE = portable_command()


def ready_launch(*, released: bool = RELEASED) -> Launch:
    """Return how the ready files start the server: with the default profile, so that no file contains a secret."""
    command, *arguments = portable_command(released=released)
    return Launch(command=command, args=tuple(arguments), env={"DATABRICKS_CONFIG_PROFILE": "DEFAULT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDescription:
    """The description of the server in registries, bundles and badges.

    Attributes:
        key: its name in a host's configuration.
        distribution: its name on PyPI, and the name of its command.
        registry_name: its name in the MCP registry; the README contains it as the proof of ownership.
        summary: at most 100 characters, the limit of the MCP registry.
        icon: an SVG picture.
    """

    key: str
    distribution: str
    registry_name: str
    title: str
    summary: str
    description: str
    version: str
    website: str
    repository: str
    privacy_policy: str
    author: str
    license: str
    keywords: tuple[str, ...]
    variables: tuple[Variable, ...]
    icon: str


_WEBSITE = "https://github.com/databricks-responses-mcp/databricks-responses-mcp"

SERVER = ServerDescription(
    key="databricks",
    distribution=DISTRIBUTION,
    registry_name="io.github.databricks-responses-mcp/databricks-responses-mcp",
    title="Databricks models",
    summary="Ask the models of a Databricks workspace, and generate images, through the OpenAI Responses API.",
    description=(
        "Lets any MCP host use the models of a Databricks workspace through the OpenAI Responses API: ask with text, "
        "images and files, generate and edit images, search the web with citations, edit files. Answers are streamed "
        "and returned as text and as structured data; errors say what to do."
    ),
    version=__version__,
    website=_WEBSITE,
    repository=_WEBSITE,
    privacy_policy="https://www.databricks.com/legal/privacynotice",
    author="databricks-responses-mcp maintainers",
    license="MIT",
    keywords=("databricks", "responses-api", "llm", "image-generation", "mcp"),
    variables=(
        Variable(
            name="DATABRICKS_CONFIG_PROFILE",
            key="profile",
            title="Profile",
            description="Profile of ~/.databrickscfg to sign in with (made by `databricks auth login`).",
            example="DEFAULT",
        ),
        Variable(
            name="DATABRICKS_HOST",
            key="host",
            title="Workspace URL",
            description="Address of the workspace; not needed with a profile.",
            example="https://adb-1234567890123456.7.azuredatabricks.net",
        ),
        Variable(
            name="DATABRICKS_TOKEN",
            key="token",
            title="Access token",
            description="Personal access token of the workspace; not needed with a profile.",
            secret=True,
        ),
        Variable(
            name="RESPONSES_MCP_MODEL",
            key="model",
            title="Model",
            description="Serving endpoint to use when a call does not name one. Default: the newest GPT endpoint.",
            example="databricks-gpt-5",
        ),
        Variable(
            name="RESPONSES_MCP_IMAGE_DIR",
            key="image_dir",
            title="Image directory",
            description="Directory in which images are saved. Default: a folder in the user's pictures.",
            kind="directory",
        ),
    ),
    icon=(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">'
        '<rect width="48" height="48" rx="10" fill="#1b3139"/>'
        '<path d="M8 16l16-8 16 8-16 8z" fill="#ff3621"/><path d="M8 24l16 8 16-8M8 32l16 8 16-8" fill="none" '
        'stroke="#ff9e94" stroke-width="3" stroke-linejoin="round"/></svg>'
    ),
)
