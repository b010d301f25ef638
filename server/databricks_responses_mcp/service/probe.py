"""The health check of the container image: ``python -m databricks_responses_mcp.service.probe``.

The same image serves over HTTP and over stdio, so the arguments of the container's first process say whether there is
anything to ask. Nothing but the standard library is imported: it runs every few seconds.
"""

import http.client
import sys
from pathlib import Path

_FIRST_PROCESS = Path("/proc/1/cmdline")
_OPTION = "--http"
_EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - nothing listens because of this
_THIS_MACHINE = "localhost"
_SECONDS = 4.0


def address_of(arguments: list[str]) -> tuple[str, int] | None:
    """Return where a server with these arguments can be asked; None if it serves stdio."""
    for number, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == _OPTION:
            address = value or next(iter(arguments[number + 1 :]), "")
            host, _, port = address.rpartition(":")
            host = host.strip("[]")
            return (_THIS_MACHINE if host in _EVERY_ADDRESS else host, int(port)) if port.isdecimal() else None
    return None


def is_healthy(host: str, port: int) -> bool:
    """Return whether a server there answers ``/healthz``."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """Return 0 if the server is healthy or serves stdio, else 1; ``arguments`` may name another file of arguments."""
    file = Path(arguments[0]) if arguments else _FIRST_PROCESS
    address = address_of(file.read_bytes().decode(errors="replace").split("\0"))
    return 0 if address is None or is_healthy(*address) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
