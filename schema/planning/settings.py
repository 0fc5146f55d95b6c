"""The company's settings and calendar as GraphQL shows them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from schema.context import Info
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.inputs import given
from schema.permissions import mutation, query
from schema.scalars import Month
from server.actor import Permission
from server.errors import BadRequest
from server.planning.domain.calendar import DayKind
from server.planning.models import CompanySettingsRow
from server.planning.repository import settings as repository
from server.planning.service import settings as service

MAX_DAYS = 1_100

described(
    DayKind,
    "Whether a day is worked, and why not.",
    {
        "WORKING": "Worked.",
        "WEEKEND": "A Saturday or Sunday: never worked.",
        "HOLIDAY": "A public holiday.",
        "CLOSED": "A day on which the company is closed, such as a bridge.",
    },
)


@strawberry.type(description="The company's rules.")
class Settings:
    country: str = strawberry.field(description="ISO 3166 code of the country whose public holidays apply.")
    subdivision: str | None = strawberry.field(
        description="Its subdivision, where holidays differ: 57 for Moselle, 6AE for Alsace."
    )
    step: Decimal | None = strawberry.field(description="Stated days are multiples of it; null: any two decimals.")
    seconds_per_day: int = strawberry.field(description="How many declared seconds make a day.")
    non_reducing_absence_types: list[str] = strawberry.field(
        description="Absence types that take no capacity, such as remote work."
    )
    predictable_leave_types: list[str] | None = strawberry.field(
        description="Absence types that TACE leaves out of its denominator; null: all that take capacity."
    )
    horizon_start: Month = strawberry.field(description="First month of the plan.")
    horizon_end: Month = strawberry.field(description="Last month of the plan; moves on by itself with time.")
    version: int = strawberry.field(description="Counts their changes; an update may say which one it expects.")
    updated_at: datetime = strawberry.field(description="When they were last changed.")


@strawberry.type(description="A day of the company's calendar.")
class CalendarDay:
    day: date = strawberry.field(description="The day.")
    kind: DayKind = strawberry.field(description="Whether it is worked.")
    label: str | None = strawberry.field(description="The holiday, or the company's own words for its decision.")


@strawberry.type
class Queries:
    @query(Permission.SETTINGS_READ, description="The company's rules.", graphql_type=Settings)
    async def settings(self, info: Info) -> CompanySettingsRow:
        async with info.context.reads.session() as session:
            return await repository.current(session)

    @query(Permission.SETTINGS_READ, description="Every day of a range.", graphql_type=list[CalendarDay])
    async def calendar(
        self,
        info: Info,
        first: Annotated[date, strawberry.argument(name="from", description="First day.")],
        last: Annotated[date, strawberry.argument(name="to", description="Last day, at most 1100 days on.")],
    ) -> list[service.CalendarDay]:
        if last < first:
            raise BadRequest(f"`from` ({first}) is after `to` ({last}): exchange them.")
        if (last - first).days >= MAX_DAYS:
            raise BadRequest(f"{(last - first).days + 1} days are too many: ask for at most {MAX_DAYS} at once.")
        async with info.context.reads.session() as session:
            return await service.days(session, first, last)


@strawberry.input(description="The company's own decision on a day.")
class CalendarDayInput:
    day: date = strawberry.field(description="The day: not a Saturday or Sunday to be worked.")
    worked: bool = strawberry.field(description="False for a bridge, true for a public holiday that is worked.")
    label: str = strawberry.field(description="Why, as people will read it.")


@strawberry.input(description="A change of the company's rules; fields left out stay as they are.")
class SettingsUpdateInput(Idempotent):
    country: str | None = strawberry.field(default=strawberry.UNSET, description="Another country.")
    subdivision: str | None = strawberry.field(default=strawberry.UNSET, description="Another one; null: none.")
    step: Decimal | None = strawberry.field(default=strawberry.UNSET, description="0.5, 0.25 or 0.1; null: free.")
    seconds_per_day: int | None = strawberry.field(default=strawberry.UNSET, description="3600 to 86400.")
    non_reducing_absence_types: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="All absence types that take no capacity."
    )
    predictable_leave_types: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="All types that TACE leaves out; null: all that take capacity."
    )
    horizon_start: Month | None = strawberry.field(default=strawberry.UNSET, description="An earlier first month.")
    horizon_end: Month | None = strawberry.field(default=strawberry.UNSET, description="A later last month.")
    set_calendar_days: list[CalendarDayInput] = strawberry.field(
        default_factory=list, description="Days to decide on, at most 400 at a time."
    )
    remove_calendar_days: list[date] = strawberry.field(
        default_factory=list, description="Days whose decision is taken back; those without one are no error."
    )
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the settings are still at this version."
    )

    def to_domain(self) -> service.SettingsChange:
        own = ("set_calendar_days", "remove_calendar_days", "expected_version")
        required = (
            "country",
            "seconds_per_day",
            "non_reducing_absence_types",
            "horizon_start",
            "horizon_end",
        )
        days = [service.DayDecision(**vars(each)) for each in self.set_calendar_days]
        values = given(self, required=required, other=own)
        return service.SettingsChange(values, days, self.remove_calendar_days, self.expected_version)


@strawberry.type(description="The settings; on a version conflict the settings as they stand.")
class SettingsUpdatePayload(Payload):
    settings: Settings | None = strawberry.field(default=None, description="The settings.")


@strawberry.type
class Mutations:
    @mutation(
        Permission.SETTINGS_WRITE,
        description="Change the company's rules. Everybody's open months are computed anew, at once in a small company "
        "and by a job in a larger one, whose months say `recomputing` until then.",
    )
    async def settings_update(self, info: Info, input: SettingsUpdateInput) -> SettingsUpdatePayload:
        change = input.to_domain()
        async with info.context.transaction() as tx:
            return SettingsUpdatePayload(settings=shown(await service.update(tx, change)))
