"""The SDK without what a session of ours never uses: a host waits for every millisecond of the start.

Both reach into the SDK. Where a later SDK has moved what they look for, they do nothing, and the start is slower.
"""

import sys


def defer_wire_models() -> None:
    """Have pydantic build the SDK's models of the wire when a message first needs them, not all at import.

    The SDK has a set of some 150 of them for each protocol era; a session speaks one era and uses a dozen. To be called
    before the SDK is imported.
    """
    try:
        from mcp_types._wire_base import WireModel
    except ImportError:
        return
    WireModel.model_config["defer_build"] = True


def keep_our_logs() -> None:
    """Leave logging as it is when a server is made: the SDK would import rich for a handler that we do not want.

    To be called once the SDK is imported, before a server is made.
    """
    module = sys.modules.get("mcp.server.mcpserver.server")
    if module is not None and callable(vars(module).get("configure_logging")):
        vars(module)["configure_logging"] = _leave_logs_alone


def _leave_logs_alone(level: str = "INFO") -> None:
    """Takes the place of the SDK's ``configure_logging``."""
