"""Removing parts of the SDK that a session never uses: a host waits for every millisecond of the start.

All of it depends on the SDK's internals. If a later SDK has changed them, the only effect is a slower start.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

WEB_PACKAGES = frozenset({"httpx2", "sse_starlette", "starlette", "uvicorn"})
"""What the SDK imports for its HTTP server and client, and never uses over stdio."""

_REIMPORTED = frozenset({"databricks_responses_mcp", "mcp"})
"""Modules that may contain a placeholder."""


def import_without_web(module: str) -> None:
    """Import a module, and the parts of the SDK that it needs, with placeholders for the packages of the web.

    The placeholders are removed afterwards: a later import of such a package loads the real one. A module that cannot
    be imported with them is imported without.
    """
    before = set(sys.modules)
    if any(name.partition(".")[0] in WEB_PACKAGES for name in before):
        importlib.import_module(module)
        return
    try:
        with _placeholders():
            importlib.import_module(module)
    except Exception:  # noqa: BLE001 - whatever the SDK does with a placeholder; a fault of the module comes again below
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in _REIMPORTED:
                del sys.modules[name]
        importlib.import_module(module)


@contextmanager
def _placeholders() -> Iterator[None]:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if isinstance(module, _Placeholder):
                del sys.modules[name]


class _Placeholder(ModuleType):
    """A module in which every name is a class without instances: enough for annotations and base classes."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class _Finder(MetaPathFinder, Loader):
    """Finds a placeholder for each package of the web and for all of its modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in WEB_PACKAGES:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module is empty."""


def defer_wire_models() -> None:
    """Let pydantic build the SDK's models of messages when a message first needs them, not all at import.

    The SDK has a set of some 150 of them for each protocol era; a session uses one era and a dozen models. Call it
    before the SDK is imported.
    """
    try:
        from mcp_types._wire_base import WireModel
    except ImportError:
        return
    WireModel.model_config["defer_build"] = True


def leave_out_httpx_command() -> None:
    """Let httpx be imported without its command line, which imports rich and pygments: two thirds of its time.

    httpx does without where these are not installed. To be called before httpx is imported.
    """
    if "httpx" not in sys.modules:
        vars(sys)["modules"].setdefault("httpx._main", None)


def keep_our_logs() -> None:
    """Keep the configuration of logging when a server is created: the SDK would import rich for a handler of its own.

    Call it once the SDK is imported, before a server is created.
    """
    module = sys.modules.get("mcp.server.mcpserver.server")
    if module is not None and callable(vars(module).get("configure_logging")):
        vars(module)["configure_logging"] = _leave_logs_alone


def _leave_logs_alone(level: str = "INFO") -> None:
    """Replaces the SDK's ``configure_logging``, and does nothing."""
