"""llama.cpp's own HTTP server with a small real model, without the emulator.

The engine and the weights are those of ``--engine local``, downloaded and verified by the same code. The server gets a
template with examples of function calls: the model was not trained for them, but follows the examples reliably.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from databricks_workspace_emulator.engines.artifacts import MODEL_FILE, OPENMP_DIRECTORY, supported
from databricks_workspace_emulator.engines.download import fetch
from harness import llama_cpp_program
from harness.foreign_server import ForeignServer, foreign_server, free_port

CACHE = Path(__file__).parents[2] / ".cache" / "engine"
MODEL = "smollm2"


@contextmanager
def llama_cpp(prefix: str = "") -> Iterator[ForeignServer]:
    """Run the server; its paths begin with ``prefix``. The test is skipped on platforms without a build."""
    if (reason := supported()) is not None:
        pytest.skip(reason)
    folder = fetch(CACHE)
    key, port = "dapi-llama", free_port()
    command = [
        *(sys.executable, llama_cpp_program.__file__),
        *(str(folder), str(folder / MODEL_FILE), MODEL, str(port), prefix, str(min(4, os.cpu_count() or 1))),
    ]
    env = {
        "LLAMA_API_KEY": key,
        "OMP_WAIT_POLICY": "passive",
        "LD_LIBRARY_PATH": str(folder / OPENMP_DIRECTORY),
    }
    with foreign_server(command, port=port, ready=f"{prefix}/v1/models", key=key, env=env) as server:
        yield server
