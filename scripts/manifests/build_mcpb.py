"""Builds the MCPB bundle: ``python scripts/manifests/build_mcpb.py [FILE]``, by default into ``dist/``.

The same sources make the same bytes.
"""

import sys
import zipfile
from pathlib import Path

from databricks_responses_mcp.hosts.server_info import SERVER

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "manifests" / "claude-desktop" / "bundle"
PACKAGE = ROOT / "server" / "databricks_responses_mcp"
DEFAULT = ROOT / "dist" / f"{SERVER.distribution}-{SERVER.version}.mcpb"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def bundled_files() -> dict[str, Path]:
    """What is in the bundle, by its name there."""
    own = {file.relative_to(BUNDLE).as_posix(): file for file in BUNDLE.rglob("*") if file.is_file()}
    package = {
        f"server/{PACKAGE.name}/{name.as_posix()}": PACKAGE / name
        for name in (file.relative_to(PACKAGE) for file in PACKAGE.rglob("*") if file.is_file())
        # What programs left there: compiled files, and the caches of checkers.
        if not any(part.startswith(".") or part == "__pycache__" for part in name.parts)
    }
    return {**own, **package, "README.md": ROOT / "README.md", "LICENSE": ROOT / "LICENSE"}


def build(target: Path) -> None:
    """Write the bundle."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, file in sorted(bundled_files().items()):
            if name == ".mcpbignore":
                continue
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    build(path)
    print(path)
