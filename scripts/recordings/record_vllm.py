"""Records streams of vLLM's own server, with a small real model on the CPU, for the tests that run without it.

.venv/bin/python scripts/recordings/record_vllm.py

Installs vLLM for the CPU into the checkout's cache first (2.4 GB; see `harness.vllm`), if it can be installed. Writes
tests/turns/recorded_streams/vllm_*.sse, byte for byte as they came.
"""

import sys
import tempfile
from pathlib import Path

import httpx

TOP = Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "tests"))

from harness.upstream_checks import WEATHER  # noqa: E402
from harness.vllm import MODEL, vllm  # noqa: E402

FOLDER = TOP / "tests" / "turns" / "recorded_streams"
REQUESTS = {
    "text": {"input": "What is the capital of France?", "max_output_tokens": 64},
    "cut": {"input": "Tell me a story.", "max_output_tokens": 16},
    "ignored_tool": {"input": "Draw a fox.", "tools": [{"type": "image_generation"}], "max_output_tokens": 16},
    "function_call": {"input": "What is the weather in Paris?", "tools": [WEATHER]},
}


def main() -> None:
    """Record each request's stream."""
    with tempfile.TemporaryDirectory() as home, vllm(Path(home)) as server:
        for name, request in REQUESTS.items():
            answer = httpx.post(
                f"{server.origin}/v1/responses",
                json={"model": MODEL, "stream": True, **request},
                headers={"authorization": f"Bearer {server.key}"},
                timeout=60,
            )
            answer.raise_for_status()
            (FOLDER / f"vllm_{name}.sse").write_bytes(answer.content)
            print(f"{name}: {len(answer.content)} bytes")


if __name__ == "__main__":
    main()
