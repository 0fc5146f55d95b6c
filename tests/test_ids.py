"""Ids that a client can name before the row exists."""

from __future__ import annotations

from datetime import date

from server.ids import cell_id, ids_of, month_id, new_id


def test_ids_of_many_are_those_of_each() -> None:
    ada, bob, bridge, month = new_id(), new_id(), new_id(), date(2026, 3, 1)
    cells = [(ada, bridge, month), (bob, bridge, month), (bob, bridge, date(2027, 12, 1))]
    assert ids_of(cells) == [cell_id(*key) for key in cells]
    assert ids_of([(ada, month), (bob, month)]) == [month_id(ada, month), month_id(bob, month)]
    assert ids_of([]) == []
