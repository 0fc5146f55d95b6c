"""Drawn operations give the same answer, the same errors and the same order of errors as on graphql-core."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.execution.differential import MODES, difference, littering


@pytest.mark.parametrize("mode", MODES)
def test_drawn_operations_are_answered_as_by_graphql_core(mode: str) -> None:
    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(min_value=0, max_value=2**32))
    def search(seed: int) -> None:
        found = difference(seed, mode)
        assert found is None, found

    with littering():
        search()
