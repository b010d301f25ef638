"""Memory of pictures, given back to the system when they are done with."""

import ctypes
import sys
from functools import cache

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1 << 20


@cache
def return_large_blocks() -> None:
    """Have the C library give every block of a megabyte and more back to the system when it is freed.

    glibc raises its own threshold to the size of the large blocks that have been freed, and keeps later ones. Does
    nothing elsewhere.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
