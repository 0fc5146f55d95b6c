"""What a demo company is asked to be, and why one may be refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

import click

DEMO_ACCOUNTS = ("admin", "planner", "manager", "member", "analyst", "hr")
"""The first people of the company, each with the role of this name; `admin` signs in as admin@demo.test."""


class SeedRefused(click.ClickException):
    """The company was not written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Demo:
    """Equal values give equal rows. `as_of` is the day that the company is seen from, in place of a clock."""

    users: int
    projects: int
    first_month: date
    months: int
    as_of: date
    accounts: bool = False

    @property
    def moment(self) -> datetime:
        """When everything was written, as far as the rows say: the evening before `as_of`."""
        return datetime.combine(self.as_of - timedelta(days=1), time(18), UTC)


def dice(*names: str | int) -> Random:
    """A generator of its own for each person and project, so that one more of them changes nothing of the others.

    Seeded by text, which Python reads the same in every process, unlike the hash of a tuple.
    """
    return Random("|".join(("plancharge", *map(str, names))))  # noqa: S311 — a demo company, not a secret  # nosec B311
