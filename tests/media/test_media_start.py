"""Importing the media package loads no image library."""

import subprocess
import sys


def test_importing_the_media_package_does_not_load_pillow() -> None:
    modules = ", ".join(
        f"databricks_responses_mcp.media.{name}"
        for name in ("formats", "images_in", "text_files", "pictures", "thumbnails", "gallery")
    )
    code = f"import sys\nimport {modules}\nprint('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
