"""The common lines of two texts, found in bounded time for scattered edits as well as for rewrites."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

# Limits of the work for one gap between unique common lines, and for the whole comparison.
_MAX_EDITS = 400
_MAX_STEPS = 1_500_000

Block = tuple[int, int, int]
"""``(i, j, size)``: ``size`` lines from ``i`` of the first text equal those from ``j`` of the second."""


def common_blocks(first: Sequence[str], second: Sequence[str]) -> list[Block]:
    """Return the runs of common lines, in the order of both texts.

    Lines that are unique in both texts are aligned first, then the gaps between them are compared. A gap with too many
    differences, or beyond the limit of the work, counts as rewritten. The result is always correct, but not always
    minimal.
    """
    comparison = _Comparison(first, second)
    comparison.compare(0, len(first), 0, len(second))
    return comparison.merged_blocks()


class _Comparison:
    def __init__(self, first: Sequence[str], second: Sequence[str]) -> None:
        codes: dict[str, int] = {}
        self._first = [codes.setdefault(line, len(codes)) for line in first]
        self._second = [codes.setdefault(line, len(codes)) for line in second]
        self._pairs: list[Block] = []
        self._steps = 0

    def compare(self, low1: int, high1: int, low2: int, high2: int) -> None:
        first, second = self._first, self._second
        begin = low1
        while low1 < high1 and low2 < high2 and first[low1] == second[low2]:
            low1 += 1
            low2 += 1
        if low1 > begin:
            self._pairs.append((begin, low2 - (low1 - begin), low1 - begin))
        tail = 0
        while low1 < high1 - tail and low2 < high2 - tail and first[high1 - tail - 1] == second[high2 - tail - 1]:
            tail += 1
        high1 -= tail
        high2 -= tail
        at1, at2 = low1, low2
        for unique1, unique2 in self._unique_pairs(low1, high1, low2, high2):
            self._compare_gap(at1, unique1, at2, unique2)
            self._pairs.append((unique1, unique2, 1))
            at1, at2 = unique1 + 1, unique2 + 1
        self._compare_gap(at1, high1, at2, high2)
        if tail:
            self._pairs.append((high1, high2, tail))

    def _unique_pairs(self, low1: int, high1: int, low2: int, high2: int) -> list[tuple[int, int]]:
        """Return the longest increasing sequence of lines that are unique in both ranges."""
        once1 = Counter(self._first[low1:high1])
        once2 = Counter(self._second[low2:high2])
        place2 = {self._second[at]: at for at in range(low2, high2)}
        pairs = [
            (at, place2[code])
            for at, code in enumerate(self._first[low1:high1], low1)
            if once1[code] == 1 and once2.get(code) == 1
        ]
        ends: list[int] = []
        tops: list[int] = []
        before: list[int] = []
        for number, (_, at2) in enumerate(pairs):
            pile = bisect_left(ends, at2)
            before.append(tops[pile - 1] if pile else -1)
            if pile == len(ends):
                ends.append(at2)
                tops.append(number)
            else:
                ends[pile] = at2
                tops[pile] = number
        rising: list[tuple[int, int]] = []
        number = tops[-1] if tops else -1
        while number >= 0:
            rising.append(pairs[number])
            number = before[number]
        return rising[::-1]

    def _compare_gap(self, low1: int, high1: int, low2: int, high2: int) -> None:
        """Find the shortest edit script of a gap (Myers' greedy algorithm); stop at the limits."""
        size1, size2 = high1 - low1, high2 - low2
        if not size1 or not size2 or self._steps > _MAX_STEPS:
            return
        first, second = self._first[low1:high1], self._second[low2:high2]
        furthest = {1: 0}
        history: list[dict[int, int]] = []
        for edits in range(min(size1 + size2, _MAX_EDITS) + 1):
            reached: dict[int, int] = {}
            for diagonal in range(-edits, edits + 1, 2):
                down = diagonal == -edits or (
                    diagonal != edits and furthest.get(diagonal - 1, -1) < furthest.get(diagonal + 1, -1)
                )
                at1 = furthest[diagonal + 1] if down else furthest[diagonal - 1] + 1
                at2 = at1 - diagonal
                begin = at1
                while at1 < size1 and at2 < size2 and first[at1] == second[at2]:
                    at1 += 1
                    at2 += 1
                self._steps += at1 - begin + 1
                reached[diagonal] = at1
                if at1 >= size1 and at2 >= size2:
                    history.append(reached)
                    self._pairs += _walk_back(history, size1, size2, low1, low2)
                    return
            history.append(reached)
            furthest = reached
            if self._steps > _MAX_STEPS:
                return

    def merged_blocks(self) -> list[Block]:
        blocks: list[Block] = []
        for at1, at2, size in self._pairs:
            if blocks and blocks[-1][0] + blocks[-1][2] == at1 and blocks[-1][1] + blocks[-1][2] == at2:
                blocks[-1] = (*blocks[-1][:2], blocks[-1][2] + size)
            else:
                blocks.append((at1, at2, size))
        return blocks


def _walk_back(history: list[dict[int, int]], at1: int, at2: int, low1: int, low2: int) -> list[Block]:
    """Return the common runs on the path through the furthest points of each step, followed from the end."""
    blocks: list[Block] = []
    for edits in range(len(history) - 1, 0, -1):
        before = history[edits - 1]
        diagonal = at1 - at2
        down = diagonal == -edits or (diagonal != edits and before.get(diagonal - 1, -1) < before.get(diagonal + 1, -1))
        came1 = before[diagonal + 1] if down else before[diagonal - 1]
        came2 = came1 - (diagonal + 1 if down else diagonal - 1)
        start1 = came1 if down else came1 + 1
        start2 = came2 + 1 if down else came2
        if at1 > start1:
            blocks.append((low1 + start1, low2 + start2, at1 - start1))
        at1, at2 = came1, came2
    if at1:
        blocks.append((low1, low2, at1))
    return blocks[::-1]
