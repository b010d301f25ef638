"""Imports stand at the top of a file. This holds the files that import inside functions, and why each does."""

import ast
from pathlib import Path

SERVER = Path(__file__).parents[1] / "server"

_COMMAND = "what a command needs is imported when it runs, so that its --help is quick"
_START = "the server answers tools/list before it loads what calls need"
_CONTEXT = "the heavy parts of the context of calls are made when they are first used"
_TERMINAL = "rich is loaded only for what it draws"
_PILLOW = "Pillow is loaded for the first picture"

ALLOWED = {
    "databricks_responses_mcp/__main__.py": "the collection of garbage is off before anything is imported",
    "databricks_responses_mcp/server.py": _START,
    "databricks_responses_mcp/calls/tasks.py": _START,
    "databricks_responses_mcp/workspace/settings.py": _START,
    "databricks_responses_mcp/calls/state.py": _CONTEXT,
    "databricks_responses_mcp/turns/bridge.py": _CONTEXT,
    "databricks_responses_mcp/store/factory.py": _CONTEXT,
    "databricks_responses_mcp/workspace/credentials.py": _CONTEXT,
    "databricks_responses_mcp/cli/ask.py": _COMMAND,
    "databricks_responses_mcp/cli/conversations.py": _COMMAND,
    "databricks_responses_mcp/cli/doctor.py": _COMMAND,
    "databricks_responses_mcp/cli/edit.py": _COMMAND,
    "databricks_responses_mcp/cli/emulator.py": _COMMAND,
    "databricks_responses_mcp/cli/image.py": _COMMAND,
    "databricks_responses_mcp/cli/install.py": _COMMAND,
    "databricks_responses_mcp/cli/checks.py": "only a service loads a web server",
    "databricks_responses_mcp/cli/keys.py": _COMMAND,
    "databricks_responses_mcp/cli/models.py": _COMMAND,
    "databricks_responses_mcp/cli/search.py": _COMMAND,
    "databricks_responses_mcp/cli/main.py": "click is imported only for what has options",
    "databricks_responses_mcp/cli/serving.py": "click is imported only for what has options",
    "databricks_responses_mcp/cli/session.py": _COMMAND,
    "databricks_responses_mcp/cli/telemetry.py": "OpenTelemetry is optional",
    "databricks_responses_mcp/cli/usage.py": _COMMAND,
    "databricks_responses_mcp/cli/sdk_patches.py": "it patches the SDK, which only a server loads",
    "databricks_responses_mcp/cli/phases.py": _TERMINAL,
    "databricks_responses_mcp/cli/tables.py": _TERMINAL,
    "databricks_responses_mcp/cli/wrapping.py": _TERMINAL,
    "databricks_responses_mcp/cli/preview.py": _PILLOW,
    "databricks_responses_mcp/media/thumbnails.py": _PILLOW,
    "databricks_responses_mcp/media/svg_renderer.py": "the process is limited before the library is loaded",
    "databricks_responses_mcp/documents/pdf_reader.py": "the process is limited before the library is loaded",
    "databricks_responses_mcp/hosts/editing/editing.py": "each kind of file has its own parser",
    "databricks_responses_mcp/service/listening.py": "Windows has no module of that name",
    "databricks_responses_mcp/spelling.py": "only an error needs difflib",
    "databricks_responses_mcp/store/postgres_pool.py": "psycopg is optional",
    "databricks_responses_mcp/store/postgres_database.py": "psycopg is optional",
    "databricks_responses_mcp/store/postgres_transaction.py": "psycopg is optional",
    "databricks_responses_mcp/workspace/transport.py": "httptools is optional",
    "databricks_responses_mcp/workspace/sdk_credentials.py": "most processes sign in without the Databricks SDK",
    "databricks_workspace_emulator/contract/tools.py": "jsonschema is loaded for the first schema",
    "databricks_workspace_emulator/conversation.py": _PILLOW,
    "databricks_workspace_emulator/on_demand.py": _START,
    "databricks_workspace_emulator/tool_handlers/image_generation.py": _PILLOW,
    "databricks_workspace_emulator/engines/choose.py": "only the engine that answers is loaded",
    "databricks_workspace_emulator/engines/progress.py": _TERMINAL,
}


def imports_inside_functions(file: Path) -> list[int]:
    """Return the lines of a file at which a function imports something."""
    functions = [
        node
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    imports = {
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return sorted(imports)


def test_only_files_with_a_reason_import_inside_functions() -> None:
    found = {
        file.relative_to(SERVER).as_posix(): lines
        for file in sorted(SERVER.rglob("*.py"))
        if (lines := imports_inside_functions(file))
    }
    without_reason = {name: lines for name, lines in found.items() if name not in ALLOWED}
    no_longer_needed = sorted(set(ALLOWED) - set(found))
    assert (without_reason, no_longer_needed) == ({}, [])
