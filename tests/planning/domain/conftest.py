"""Calendars that the tests of the planning rules share."""

import holidays
import pytest

from server.planning.domain.calendar import Calendar


@pytest.fixture(scope="session")
def france():
    """Metropolitan France as the holidays library knows it, without any decision of the company."""
    return Calendar(dict(holidays.country_holidays("FR", years=range(2025, 2029), language="en_US")), {})
