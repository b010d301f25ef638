"""Programs that the Databricks SDK starts to sign in (``az``, ``databricks``, ``gcloud``), with limits.

The SDK starts them without a standard input of their own, so they would inherit the server's: over stdio that is the
MCP connection, and a child process that reads from it takes requests (every tool hangs; on Windows even without
reading). It also sets no time limit. There is no setting for either, so the name ``subprocess`` is replaced in the
modules that start programs, and only there.
"""

import atexit
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

_STARTING_MODULES = ("databricks.sdk.credentials_provider", "google.auth._cloud_sdk", "google.auth.pluggable")

_running: set["subprocess.Popen[Any]"] = set()


class ContainedSubprocess:
    """The ``subprocess`` module for those modules: child processes get no input, a time limit, and no window.

    Args:
        timeout_seconds: the time after which a child process is killed, unless the caller sets a limit.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def run(
        self,
        args: Any,
        *,
        input: Any = None,  # noqa: A002 - the standard library's name
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        **options: Any,
    ) -> "subprocess.CompletedProcess[Any]":
        """Run a program as `subprocess.run` does, without the server's standard input, and with a time limit."""
        if capture_output:
            options["stdout"] = options["stderr"] = subprocess.PIPE
        if input is not None:
            options["stdin"] = subprocess.PIPE
        elif options.get("stdin") is None:
            options["stdin"] = subprocess.DEVNULL
        if sys.platform == "win32":
            # A host without a console would show a window for each token.
            options["creationflags"] = options.get("creationflags", 0) | subprocess.CREATE_NO_WINDOW
        with subprocess.Popen(args, **options) as child:  # noqa: S603 - the SDK's own command lines
            _running.add(child)
            try:
                stdout, stderr = child.communicate(input, timeout=self._timeout if timeout is None else timeout)
            except BaseException:
                child.kill()
                raise
            finally:
                _running.discard(child)
        if check and child.returncode:
            raise subprocess.CalledProcessError(child.returncode, child.args, stdout, stderr)
        return subprocess.CompletedProcess(child.args, child.returncode, stdout, stderr)

    def check_output(self, args: Any, **options: Any) -> Any:
        """Run a program as `subprocess.check_output` does, with the limits of `run`."""
        return self.run(args, stdout=subprocess.PIPE, check=True, **options).stdout


def contain_children(timeout_seconds: float) -> None:
    """Limit the SDK's child processes from now on: no standard input, at most ``timeout_seconds``. Imports the SDK:
    slow.
    """
    contained = ContainedSubprocess(timeout_seconds)
    for name in _STARTING_MODULES:
        # Google's package may be missing, or have moved: then it is not used either.
        with suppress(ImportError):
            module: ModuleType = import_module(name)
            if "subprocess" in vars(module):
                vars(module)["subprocess"] = contained


@atexit.register
def _leave_none_behind() -> None:
    """Kill child processes at exit: one that still runs would outlive the server, because its thread ends with the
    process.
    """
    for child in list(_running):
        with suppress(OSError):
            child.kill()
