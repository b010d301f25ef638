"""The room costs nothing until it is used."""

import subprocess
import sys


def test_importing_the_room_brings_nothing_heavy() -> None:
    rooms = ", ".join(
        f"databricks_responses_mcp.media.{name}"
        for name in ("formats", "images_in", "text_files", "pictures", "thumbnails", "gallery")
    )
    heavy = "{'PIL', 'httpx', 'ssl', 'urllib.request', 'difflib', 'certifi'}"
    code = f"import sys\nimport {rooms}\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['ssl']")  # anyio itself may bring ssl
