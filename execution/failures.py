"""The errors of an execution: kept as they are met, reported in graphql-core's order, and what they null."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from graphql import located_error
from graphql.execution.executor import CollectedErrors
from graphql.pyutils import Path

from .positions import ChosenPositions, Order, Positions

__all__ = ["Failures", "Rank"]

Rank = tuple[int, int]
"""The place of an awaited value among those that arrived together."""

_Failure = tuple[Positions, int, Exception]


class Failures:
    """Errors are met level by level; graphql-core meets them depth first, value by value as they arrive.

    So whenever a stretch of synchronous work ends, its errors are sorted into that order. From there on graphql-core's
    own list decides, which drops errors below a position that an earlier one has nulled.
    """

    def __init__(self) -> None:
        self.is_total = False
        """Whether the whole answer is null."""
        self._met: list[tuple[Positions, int, Exception, bool]] = []
        self._nulls: list[Path] = []
        self._arrived: dict[int, tuple[Positions, list[tuple[int, int]]]] = {}

    def add(self, at: Positions, number: int, error: Exception, *, last: bool) -> None:
        """Record an error; `last` puts it behind the errors of what lies below its position."""
        self._met.append((at, number, error, last))

    def mark(self) -> int:
        """Return a mark for `forget_since`."""
        return len(self._met)

    def forget_since(self, mark: int) -> None:
        """Drop the errors of work that will be done again."""
        del self._met[mark:]

    def arrived(self, at: ChosenPositions, members: list[tuple[int, int]]) -> None:
        """Note in which order the awaited values of these positions arrived: (rank, where its positions end)."""
        self._arrived[id(at)] = (at, members)

    def forget_arrivals(self) -> None:
        """Forget what was noted: it leads back to the rows, which would have to wait for the garbage collector."""
        self._arrived.clear()

    def order(self, at: Positions, number: int) -> tuple[bool, Rank, Order]:
        """Return whether an error here nulls more than the value that was awaited, and its place in the order.

        The order is that of arrival of the values that were awaited, and below each of them depth first.
        """
        place: tuple[Positions, int] | None = (at, number)
        is_contained = False
        while place is not None and self._arrived:
            above, index = place
            known = self._arrived.get(id(above))
            is_contained = is_contained or above.nullable
            place = above.enclosing(index)
            if known is not None:
                is_contained = is_contained or (place is not None and place[0].nullable)
                return not is_contained, _rank(known[1], index), at.order(number)
        return False, (0, 0), at.order(number)

    def report(self, collected: CollectedErrors) -> int:
        """Report the errors met since the last time and return how many there were."""
        met, self._met = self._met, []
        if not met:
            return 0
        keyed = []
        for at, number, error, last in met:
            escapes, rank, order = self.order(at, number)
            keyed.append((rank, (*order, float("inf")) if last else order, escapes, (at, number, error)))
        keyed.sort(key=lambda entry: entry[:2])
        for at, number, error in _with_escaped_last(keyed):
            located = located_error(error, at.field.nodes, at.path(number).as_list())
            nulled = at.null_path(number)
            collected.add(located, nulled)
            if nulled is None:
                self.is_total = True
            else:
                self._nulls.append(nulled)
        return len(met)

    def answer(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return the data with null at every position that an error nulled."""
        if self.is_total:
            return None
        for path in self._nulls:
            _set_null(data, path.as_list())
        return data


def _rank(members: list[tuple[int, int]], index: int) -> Rank:
    """Each member is (rank, the index at which its positions end)."""
    place = bisect_right(members, index, key=itemgetter(1))
    return members[place][0], index - (members[place - 1][1] if place else 0)


def _with_escaped_last(keyed: list[tuple[Rank, Order, bool, _Failure]]) -> Iterator[_Failure]:
    """Put errors that null more than the value that was awaited behind their contemporaries, and end that value there.

    graphql-core hands such an error from task to task to whom it concerns, while others are reported at once.
    """
    escaped: dict[Rank, _Failure] = {}
    for rank, _, escapes, failure in keyed:
        if rank in escaped:
            continue
        if escapes:
            escaped[rank] = failure
        else:
            yield failure
    yield from escaped.values()


def _set_null(data: dict[str, Any], keys: list[str | int]) -> None:
    place: Any = data
    for key in keys[:-1]:
        place = place[key]
        if place is None:
            return
    place[keys[-1]] = None
