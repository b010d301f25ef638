"""Serving the local model over HTTP: a small program, run as a script in a separate process.

    python -I -S -B model_server.py DIRECTORY MODEL CONTEXT_TOKENS SLOTS THREADS

The llama.cpp server of the package that was unpacked into ``DIRECTORY`` listens on an unused port of 127.0.0.1, which
it prints, and requires the key in ``LLAMA_API_KEY``. It runs until the process is ended, and no longer than its parent.

The package is native code for this interpreter's stable ABI. It is imported only here, so that a crash ends only this
process.
"""

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

ALIAS = "SmolLM2-135M-Instruct"
_PARENT_POLL_SECONDS = 1.0


def start(directory: Path, model: Path, context_tokens: int, slots: int, threads: int, key: str) -> Any:
    """Load the model and listen; return the server, which runs in its own threads. Raises the package's exceptions."""
    sys.path.insert(0, str(directory))
    llama: Any = importlib.import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = str(model)
    params.model_alias = {ALIAS}
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # The system assigns an unused port.
    params.api_keys = [key]
    params.n_ctx = context_tokens
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    # So small a model is best when it takes the most likely word, and must be prevented from endless repetition. The
    # temperature of a request takes precedence.
    params.sampling.temp = 0.0
    params.sampling.penalty_repeat = 1.15
    params.sampling.penalty_last_n = 256
    # No GPU: a driver that hangs must not affect a model that is fast enough without it.
    params.n_gpu_layers = 0
    params.no_op_offload = params.no_kv_offload = True
    params.fit_params = False
    params.cache_ram_mib = 0
    params.use_jinja = True
    params.ui = params.endpoint_slots = False
    params.offline = True
    return llama.Server(params)


def main(arguments: list[str]) -> None:
    """Run the program; see the module's text."""
    parent = os.getppid()
    directory, model = map(Path, arguments[:2])
    context_tokens, slots, threads = map(int, arguments[2:5])
    server = start(directory, model, context_tokens, slots, threads, os.environ.pop("LLAMA_API_KEY"))
    # Only Linux ends a child process with its parent, so it is checked here too.
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_SECONDS)
    del server


if __name__ == "__main__":
    main(sys.argv[1:])
