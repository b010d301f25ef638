"""The generated part of the architecture page: which package imports which, read from the code."""

import ast
from functools import cache
from pathlib import Path

SERVER = Path(__file__).parents[2] / "server"
BRIDGE = "databricks_responses_mcp"
EMULATOR = "databricks_workspace_emulator"
Edges = dict[str, set[str]]


def packages_part() -> str:
    """Return a diagram of the packages, and a table of what each holds and imports."""
    imports = _imports()
    arrows = [f"  {one} --> {other}" for one, others in _reduced(imports).items() for other in sorted(others)]
    rows = ["| package | what it holds | imports |", "|---|---|---|"]
    for name, imported in imports.items():
        rows.append(
            f"| `{_shown(name)}` | {_summary(name)} | {', '.join(f'`{_shown(one)}`' for one in sorted(imported))} |"
        )
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```", "", *rows])


@cache
def _files() -> dict[str, list[Path]]:
    """The Python files of each package; a module at the top of the bridge is one by itself."""
    top = SERVER / BRIDGE
    found = {folder.name: sorted(folder.rglob("*.py")) for folder in sorted(top.iterdir()) if list(folder.glob("*.py"))}
    found |= {file.stem: [file] for file in sorted(top.glob("*.py")) if not file.stem.startswith("__")}
    return found | {EMULATOR: sorted((SERVER / EMULATOR).rglob("*.py"))}


def _imports() -> Edges:
    """What each package imports of the others, those that import most first."""
    edges = {
        name: {_package(module) for file in files for module in _modules(file)} for name, files in _files().items()
    }
    edges = {name: {one for one in others if one in edges and one != name} for name, others in edges.items()}
    return dict(sorted(edges.items(), key=lambda edge: (-len(_reachable(edges, edge[0])), edge[0])))


def _modules(file: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            # `from databricks_responses_mcp import errors` names the module after the word import.
            bare = node.module == BRIDGE
            found += [f"{node.module}.{alias.name}" for alias in node.names] if bare else [node.module]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def _package(module: str) -> str:
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == BRIDGE else first


def _reachable(edges: Edges, name: str) -> set[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for one in edges[waiting.pop()] - seen:
            seen.add(one)
            waiting.append(one)
    return seen


def _reduced(edges: Edges) -> Edges:
    """Without the arrows that follow from others, so that the diagram can be read."""
    return {
        name: {one for one in others if not any(one in _reachable(edges, other) for other in others - {one})}
        for name, others in edges.items()
    }


def _summary(name: str) -> str:
    module = SERVER / name if name == EMULATOR else SERVER / BRIDGE / name
    file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`")


def _shown(name: str) -> str:
    return f"{name}.py" if (SERVER / BRIDGE / f"{name}.py").is_file() else name
