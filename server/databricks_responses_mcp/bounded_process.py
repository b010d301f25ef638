"""Running a program on untrusted input, in a separate process that has limits and can be ended.

In a thread such work could not be ended, and would block the interpreter.
"""

import os
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import anyio

if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW
else:
    import resource

    _CREATION_FLAGS = 0
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")


async def run_bounded(
    module: str, content: bytes, *, wall_seconds: float, limiter: anyio.CapacityLimiter | None = None
) -> bytes | None:
    """Run a module of this project as a program; return what it wrote to stdout, or None if it did not finish.

    Args:
        module: a program that limits itself with `limit_this_process` before it reads.
        content: what the program reads from stdin.
        wall_seconds: the time limit; it must be long enough for a busy machine.
        limiter: limits the number of concurrent processes.
    """
    waiting: AbstractAsyncContextManager[Any] = limiter if limiter is not None else nullcontext()
    try:
        async with waiting:
            with anyio.fail_after(wall_seconds):
                done = await anyio.run_process(
                    # -P: nothing is imported from the working directory.
                    [sys.executable, "-P", "-m", module],
                    input=content,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                    creationflags=_CREATION_FLAGS,
                )
    except (TimeoutError, OSError):
        return None
    except ExceptionGroup as errors:
        # It ended before it had read everything.
        if errors.split(anyio.BrokenResourceError)[1] is not None:
            raise
        return None
    return done.stdout if done.returncode == 0 else None


def limit_this_process(*, cpu_seconds: int, memory_bytes: int) -> None:
    """Limit the processor time and the memory of this process. Windows has no such limits: `run_bounded` ends it.

    A process that reaches a limit writes no core dump, which would put its input into the working directory.
    """
    if sys.platform == "win32":
        return
    for kind, most in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, hard))
