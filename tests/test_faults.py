"""`make faults` in short: one fault of each kind against real processes; the whole set stays with `make faults`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import pytest

from faults import pool, postgres, redis_away, stop
from faults.__main__ import Scenario
from faults.ground import Ground
from faults.shown import Shown

SHORT: dict[str, Scenario] = {
    "PostgreSQL killed": partial(postgres.show, fault=postgres.killed, away=1.0),
    "Redis paused": partial(redis_away.show, fault=redis_away.halted, away=1.5),
    "a stop under load": partial(stop.show, planned={2: 1}),
    "more calls than the pool has connections": pool.show,
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if sys.platform != "linux":
        pytest.skip("NOT RUN: needs Linux")
    with Ground(tmp_path_factory.mktemp("faults")) as ground:
        yield ground


@pytest.mark.parametrize("name", SHORT)
def test_what_is_promised_is_kept_through(name: str, ground: Ground) -> None:
    shown = Shown(progress=lambda _: None)
    SHORT[name](ground, shown)
    assert shown.broken == []
    assert shown.facts
