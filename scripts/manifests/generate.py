"""Writes everything that presents the server to hosts, registries and catalogs, from its one description.

Run ``python scripts/manifests/generate.py`` after changing ``hosts/server_info.py``, a host's entry, a tool, a prompt
or the dependencies. A test runs it with ``--check``, which writes nothing and fails if anything would change, or if
``manifests/`` holds a file that is no longer generated.
"""

import sys
from io import BytesIO
from pathlib import Path

from generating.badges import badges
from generating.claude_code import marketplace_file, plugin_files
from generating.databricks_app import FOLDER as APP
from generating.databricks_app import app_files
from generating.docker import catalog_files, image_files
from generating.gemini_cli import extension_files
from generating.host_files import host_files
from generating.index import index
from generating.mcp_registry import ownership_mark, registry_files
from generating.mcpb import bundle_files
from PIL import Image, ImageChops, ImageStat

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PLUGIN = "manifests/claude-code/plugin"
HAND_WRITTEN = ("manifests/docker/nginx.conf", "manifests/docker/compose.yaml", "manifests/docker/.env.example")
"""Files that repeat nothing; tests run them."""


def generated() -> dict[str, bytes]:
    """Every generated file, by its path from the top of the repository."""
    folders = {
        "manifests": {**host_files(), "README.md": index()},
        "manifests/claude-desktop/bundle": bundle_files(),
        "manifests/mcp-registry": registry_files(),
        "manifests/docker": catalog_files(),
        PLUGIN: plugin_files(),
        APP: app_files(),
        "manifests/gemini-cli/extension": extension_files(),
    }
    files = {f"{folder}/{name}": content for folder, files in folders.items() for name, content in files.items()}
    # Docker's catalog and Claude Code look for these at the top.
    return {**files, **image_files(), ".claude-plugin/marketplace.json": marketplace_file(PLUGIN)}


def readme(text: str) -> str:
    """The README with the parts between its markers made anew."""
    for name, part in {"mcp-name": ownership_mark(), "badges": badges()}.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        head, _, rest = text.partition(begin)
        _, found, tail = rest.partition(end)
        if not found:
            raise ValueError(f"README.md has no {begin} … {end}")
        text = f"{head}{begin}\n{part}\n{end}{tail}"
    return text


def strays() -> list[str]:
    """Return the files under ``manifests/`` that are no longer generated."""
    there = (file.relative_to(ROOT).as_posix() for file in (ROOT / "manifests").rglob("*") if file.is_file())
    known = generated()
    # A wheel is what the user made to deploy the app; git ignores it.
    return sorted(name for name in there if name not in {*known, *HAND_WRITTEN} and not name.endswith(".whl"))


def differences() -> list[str]:
    """What is not as it would be written now."""
    changed = [name for name, content in generated().items() if not _is_same(ROOT / name, content)]
    text = README.read_text(encoding="utf-8")
    return sorted([*changed, *strays(), *(["README.md"] if readme(text) != text else [])])


def _is_same(path: Path, content: bytes) -> bool:
    if not path.is_file():
        return False
    there = path.read_bytes()
    if path.suffix != ".png":
        return there.replace(b"\r\n", b"\n") == content  # as git may have checked it out
    if there == content:
        return True
    # Another version of the library that draws may round, and packs, in its own way.
    pictures = [Image.open(BytesIO(data)).convert("RGBA") for data in (there, content)]
    if pictures[0].size != pictures[1].size:
        return False
    return max(ImageStat.Stat(ImageChops.difference(*pictures)).mean) < 1


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` only compare."""
    if "--check" in arguments:
        found = differences()
        print("\n".join([*found, "Run python scripts/manifests/generate.py."] if found else ["Nothing differs."]))
        return 1 if found else 0
    for name, content in generated().items():
        if not _is_same(ROOT / name, content):
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_bytes(content)
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
