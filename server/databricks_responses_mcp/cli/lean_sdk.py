"""The SDK without what one session never uses."""


def defer_wire_models() -> None:
    """Have pydantic build the SDK's models of the wire when a message first needs them, not all at import.

    The SDK has a set of some 150 of them for each protocol era; a session speaks one era and uses a dozen. To be called
    before the SDK is imported. A later SDK that keeps them elsewhere starts slower, and nothing else changes.
    """
    try:
        from mcp_types._wire_base import WireModel
    except ImportError:
        return
    WireModel.model_config["defer_build"] = True
