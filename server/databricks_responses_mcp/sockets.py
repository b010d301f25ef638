"""Looking at a socket without reading from it."""

import select
import sys


def is_readable(number: int) -> bool:
    """Return whether bytes or the end have arrived at the socket of a file descriptor; does not wait."""
    if sys.platform == "win32":
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
