"""The socket of a workspace."""

import socket
import sys

_HOST = "127.0.0.1"
_BACKLOG = 128


def listen(port: int) -> socket.socket:
    """Listen on a port of 127.0.0.1; any free one if 0.

    Raises:
        OSError: if the port is taken.
    """
    # The protocol is named because asyncio turns Nagle's algorithm off only then: 40 ms a reply.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address of the workspace that listens there, ``http://127.0.0.1:PORT``."""
    return f"http://{_HOST}:{listener.getsockname()[1]}"
