"""Reports as GraphQL shows them: utilisation by group, and who has days to spare."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, cast

import strawberry

from schema.context import Info
from schema.edges import to_business_unit, to_project, to_user
from schema.enums import described
from schema.errors import shown
from schema.pages import Page, PageNumber, PageSize, window
from schema.permissions import query
from schema.planning.grid import FirstMonth, LastMonth, PlanningFilter, as_filter
from schema.refs import BusinessUnitRef, ProjectRef, UserRef
from schema.scalars import Month
from server.actor import Permission
from server.planning.domain.reports import Formula
from server.planning.repository.reports import GroupBy
from server.planning.service import reports
from server.planning.service.reports import Group, Range

Whose = Annotated[PlanningFilter | None, strawberry.argument(description="Whose months are counted.")]

described(
    GroupBy,
    "What a report is grouped by.",
    {
        "USER": "By person.",
        "BUSINESS_UNIT": "By the unit that people belong to today; those without one form a group of their own.",
        "PROJECT": "By project. Capacity, working days and leave are those of the people with load on it, in the "
        "months in which they have it.",
        "MONTH": "By month.",
    },
)
described(
    Formula,
    "The ratio that a report is read by.",
    {
        "UTILISATION": "Load / capacity.",
        "TACE": "Productive days / (working days − predictable leave).",
        "TACI": "Productive days / working days.",
    },
    name="UtilisationFormula",
)


@strawberry.type(description="Sums of days, and the ratio asked for. Ratios are those of the sums.")
class UtilisationFigures:
    capacity: Decimal = strawberry.field(description="Days that the people can take.")
    load: Decimal = strawberry.field(description="Days laid on them.")
    productive_days: Decimal = strawberry.field(description="Days of the load on productive projects.")
    working_days: Decimal = strawberry.field(description="Days of the contracts, before absences.")
    leave: Decimal = strawberry.field(description="Days of them that predictable leave takes.")
    value: Decimal | None = strawberry.field(description="The ratio; null where its denominator is 0.")


@strawberry.type(description="A group's figures in one month.")
class UtilisationMonth(UtilisationFigures):
    month: Month = strawberry.field(description="The month.")


def _key_of(kind: GroupBy) -> Callable[[Group], Any]:
    """The group's key in a report by this kind, else null."""
    return lambda group: group.key if group.by is kind else None


@strawberry.type(description="A group's figures over the range, and month by month.")
class UtilisationGroup(UtilisationFigures):
    months: list[UtilisationMonth] = strawberry.field(
        description="The months in which the group has capacity or load, in order."
    )

    user: UserRef | None = strawberry.field(
        resolver=to_user(_key_of(GroupBy.USER)), description="The person, in a report by person."
    )

    business_unit: BusinessUnitRef | None = strawberry.field(
        resolver=to_business_unit(_key_of(GroupBy.BUSINESS_UNIT)),
        description="The unit, in a report by business unit; null for people without one.",
    )

    project: ProjectRef | None = strawberry.field(
        resolver=to_project(_key_of(GroupBy.PROJECT)), description="The project, in a report by project."
    )

    @strawberry.field(description="The month, in a report by month.", graphql_type=Month | None)
    def month(self, parent: strawberry.Parent[Group]) -> date | None:
        return cast(date, parent.key) if parent.by is GroupBy.MONTH else None


@strawberry.type(description="A page of groups, by name; months by date.")
class UtilisationPage(Page[UtilisationGroup]):
    formula: Formula = strawberry.field(description="The ratio that `value` is.")
    definition: str = strawberry.field(description="The same in words.")


@strawberry.type(description="A month in which a person has days to spare.")
class FreeMonth:
    month: Month = strawberry.field(description="The month.")
    capacity: Decimal = strawberry.field(description="Days that the person can take.")
    load: Decimal = strawberry.field(description="Days laid on the person.")
    availability: Decimal = strawberry.field(description="Days that are left.")


@strawberry.type(description="Somebody who has days to spare.")
class FreePerson:
    days: Decimal = strawberry.field(
        description="Days to spare in the range. An over-allocated month takes nothing from the others."
    )
    months: list[FreeMonth] = strawberry.field(description="The months that make them up, in order.")

    user: UserRef = strawberry.field(resolver=to_user("user_id"), description="The person.")


@strawberry.type(description="A page of people with days to spare, those with the most first.")
class AvailabilityPage(Page[FreePerson]):
    pass


@strawberry.type
class Queries:
    @query(
        Permission.PLANNING_READ,
        description="How much of their capacity people use, by person, business unit, project or month.",
    )
    async def utilisation(
        self,
        info: Info,
        first: FirstMonth,
        last: LastMonth,
        group_by: Annotated[GroupBy, strawberry.argument(description="What to group by.")],
        formula: Annotated[
            Formula, strawberry.argument(description="The ratio to read the report by.")
        ] = Formula.UTILISATION,
        filter: Whose = None,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> UtilisationPage:
        asked = Range(as_filter(filter), first, last)
        offset, limit = window(page, size)
        reads = info.context.reads
        return UtilisationPage(
            items=shown(await reports.utilisation(reads, asked, group_by, formula, offset, limit)),
            page=page,
            size=size,
            count=lambda: reports.count_groups(reads, asked, group_by),
            formula=formula,
            definition=formula.definition,
        )

    @query(
        Permission.PLANNING_READ,
        description="People with at least so many days to spare in the range, those with the most first.",
    )
    async def availability(
        self,
        info: Info,
        first: FirstMonth,
        last: LastMonth,
        days: Annotated[Decimal, strawberry.argument(description="At least so many days.")],
        filter: Whose = None,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> AvailabilityPage:
        asked = Range(as_filter(filter), first, last)
        offset, limit = window(page, size)
        reads = info.context.reads
        return AvailabilityPage(
            items=shown(await reports.availability(reads, asked, days, offset, limit)),
            page=page,
            size=size,
            count=lambda: reports.count_free(reads, asked, days),
        )
