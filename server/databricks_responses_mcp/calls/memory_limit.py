"""A limit for what several users keep in memory together."""

from typing import Protocol
from weakref import WeakSet


class Holder(Protocol):
    """What keeps things in memory for one user."""

    @property
    def held(self) -> int:
        """The size of its items, in bytes or characters."""

    def drop_oldest(self) -> bool:
        """Drop the oldest item that may be dropped; return False if there is none."""


class MemoryLimit:
    """Drops the oldest items of the largest holder, so that one user cannot displace the items of all others.

    Args:
        most: the size of the items of all holders together, in bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._holders: WeakSet[Holder] = WeakSet()

    def add(self, holder: Holder) -> None:
        """Count what a holder keeps, for as long as it exists."""
        self._holders.add(holder)

    def enforce(self) -> None:
        """Drop what is too much. The last thing of a holder is dropped, too, if nothing else can be."""
        while sum(holder.held for holder in self._holders) > self._most:
            if not max(self._holders, key=lambda holder: holder.held).drop_oldest():
                return
