"""Programs that the Databricks SDK starts to sign in (``az``, ``databricks``, ``gcloud``), kept in bounds.

The SDK starts them without saying what their standard input is, so that they would inherit ours: over stdio that is the
MCP connection, and a child that reads from it swallows requests (every tool hangs; on Windows even without reading). It
also gives them no time limit. There is no setting for either, so the name ``subprocess`` is replaced inside the modules
that start programs, and nowhere else.
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
    """The ``subprocess`` module as those modules see it: children get no input, an end, and no window.

    Args:
        timeout_seconds: after how long a child is killed, where the caller sets no limit.
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
        """`subprocess.run` without our standard input, and never without a time limit."""
        if capture_output:
            options["stdout"] = options["stderr"] = subprocess.PIPE
        if input is not None:
            options["stdin"] = subprocess.PIPE
        elif options.get("stdin") is None:
            options["stdin"] = subprocess.DEVNULL
        if sys.platform == "win32":
            # A host without a console would see one flash up for each token.
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
        """`subprocess.check_output`, contained as `run` is."""
        return self.run(args, stdout=subprocess.PIPE, check=True, **options).stdout


def contain_children(timeout_seconds: float) -> None:
    """From now on the SDK's children get no standard input and at most ``timeout_seconds``. Imports the SDK: slow."""
    contained = ContainedSubprocess(timeout_seconds)
    for name in _STARTING_MODULES:
        # Google's may be absent, or have moved: then they are not used either.
        with suppress(ImportError):
            module: ModuleType = import_module(name)
            if "subprocess" in vars(module):
                vars(module)["subprocess"] = contained


@atexit.register
def _leave_none_behind() -> None:
    """A child that still runs when we end would outlive us: its thread ends with the process, unasked."""
    for child in list(_running):
        with suppress(OSError):
            child.kill()
