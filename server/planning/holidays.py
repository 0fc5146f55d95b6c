"""Public holidays by country and subdivision: the only module that knows the `holidays` library."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

import holidays


class UnknownPlace(ValueError):
    """`field` is the setting to correct; the message lists what is known."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_place(country: str, subdivision: str | None) -> None:
    """Raises UnknownPlace.

    The library itself takes codes that it once knew ("GES" for the east of France) and silently leaves out the
    holidays that make the difference there, so only the codes that it lists today pass.
    """
    subdivisions = _countries().get(country)
    if subdivisions is None:
        known = ", ".join(sorted(_countries()))
        raise UnknownPlace("country", f"{country!r} is not a country whose holidays are known; choose one of {known}.")
    if subdivision is not None and subdivision not in subdivisions:
        known = f"choose one of {', '.join(subdivisions)}, or none" if subdivisions else "leave it out"
        raise UnknownPlace("subdivision", f"{subdivision!r} is not a subdivision of {country} that is known: {known}.")


def holidays_between(country: str, subdivision: str | None, first: date, last: date) -> dict[date, str]:
    """The public holidays of these years, by day, in the country's own language."""
    check_place(country, subdivision)
    found: dict[date, str] = {}
    for year in range(first.year, last.year + 1):
        found.update(_of_year(country, subdivision, year))
    return found


@lru_cache(maxsize=256)
def _of_year(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    # Without a language the library follows the machine's locale, and the same company would read other labels
    # on another server.
    language = getattr(holidays, country).default_language
    days = holidays.country_holidays(country, subdiv=subdivision, years=year, language=language)
    return {day: str(days[day]) for day in sorted(days)}


@lru_cache(maxsize=1)
def _countries() -> dict[str, list[str]]:
    return holidays.list_supported_countries(include_aliases=False)
