"""Cells as GraphQL shows them, and the one mutation that writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.types.nodes import FragmentSpread, InlineFragment
from strawberry.utils.str_converters import to_snake_case

from schema.context import Info
from schema.edges import to_project, to_user
from schema.enums import described
from schema.errors import Payload, Problem, shown
from schema.inputs import flat
from schema.pages import IncrementalPage, PageNumber, PageSize, selects, window
from schema.permissions import mutation, query
from schema.planning.grid import at_most
from schema.refs import PlanningMonthRef, ProjectRef, UserRef
from schema.scalars import Month
from server.actor import Permission
from server.errors import BadRequest, FieldError, invalid
from server.incremental import next_updated_after
from server.planning.domain.cells import UNSET, CellKey, CellOutcome, CellWrite
from server.planning.models import CellSource
from server.planning.repository import cells as repository
from server.planning.repository.cells import CellRow, ForecastOrder
from server.planning.service import forecasts
from server.planning.service.cells import WritePolicy

described(
    CellSource,
    "Where a cell's days come from.",
    {
        "ASSIGNMENT": "Nobody stated any: they are what assignments lead to expect.",
        "MANUAL": "A person stated them.",
        "API": "A tool stated them.",
        "IMPORT": "An import stated them.",
        "LEGACY": "They were taken over from the tool used before.",
    },
)
described(
    ForecastOrder,
    "How a list of cells is ordered.",
    {
        "MONTH": "By month, then person and project.",
        "DAYS": "By the days that count, the most first.",
        "UPDATED_AT": "By the last change, the oldest first.",
    },
)
described(
    WritePolicy,
    "What to do with the good cells of a call when others are refused.",
    {
        "REJECT_EVERYTHING": "Write all cells or none.",
        "REJECT_FAILED": "Write the good ones.",
    },
)
described(
    CellOutcome,
    "What became of the write of a cell.",
    {
        "APPLIED": "Written.",
        "UNCHANGED": "It stated just that already; its version stays.",
        "REJECTED": "Not written.",
    },
)


@strawberry.type(description="What is stated, expected and declared for a person on a project in a month.")
class Cell:
    id: UUID = strawberry.field(description="UUID v5 of `user|project|month`: a client can name it before it exists.")
    month: Month = strawberry.field(description="The month.")
    days: Decimal = strawberry.field(description="The days that count: stated ones, 0 included, otherwise expected.")
    source: CellSource = strawberry.field(description="Where the days come from.")
    stated: Decimal | None = strawberry.field(description="Days that a person or a tool stated.")
    expected: Decimal = strawberry.field(description="Days that assignments lead to expect.")
    actual: Decimal = strawberry.field(description="Days declared in the time-tracking tool; 0 where there are none.")
    late_actual: bool = strawberry.field(description="Whether some were declared after the month was closed.")
    recomputing: bool = strawberry.field(description="Whether a large change is still being worked in.")
    version: int = strawberry.field(description="Counts what people state; a recomputation never raises it.")
    updated_at: datetime = strawberry.field(description="When any of its values last changed.")

    user: UserRef = strawberry.field(resolver=to_user("user_id", given="user_row"), description="The person.")

    project: ProjectRef = strawberry.field(
        resolver=to_project("project_id", given="project_row"), description="The project."
    )


@strawberry.input(description="Which cells: all that is given must hold.")
class ForecastFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="Of any of these people.")
    business_unit_ids: list[UUID] | None = strawberry.field(
        default=None, description="Of people who belong to any of these business units today."
    )
    project_ids: list[UUID] | None = strawberry.field(default=None, description="On any of these projects.")
    first: Month | None = strawberry.field(name="from", default=None, description="In this month or later.")
    last: Month | None = strawberry.field(name="to", default=None, description="In this month or earlier.")
    sources: list[CellSource] | None = strawberry.field(default=None, description="With days from any of these.")
    updated_after: datetime | None = strawberry.field(
        default=None,
        description="Changed since then, emptied ones included, the oldest change first: for incremental reads.",
    )

    def to_domain(self) -> repository.CellFilter:
        if self.first and self.last and self.last < self.first:
            raise BadRequest("filter.from is after filter.to: exchange them.")
        return repository.CellFilter(**vars(self))


@strawberry.type
class Queries:
    @query(
        Permission.PLANNING_READ,
        description="Cells as a flat list, by month, person and project unless asked otherwise.",
        graphql_type=IncrementalPage[Cell],
    )
    async def forecasts(
        self,
        info: Info,
        filter: Annotated[ForecastFilter | None, strawberry.argument(description="Which cells.")] = None,
        order_by: Annotated[
            ForecastOrder, strawberry.argument(description="In which order; an incremental read's is that of change.")
        ] = ForecastOrder.MONTH,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> IncrementalPage[CellRow]:
        wanted = filter.to_domain() if filter else repository.CellFilter()
        offset, limit = window(page, size)
        mark = await next_updated_after(info.context.reads) if selects(info, "nextUpdatedAfter") else None
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, wanted, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted)

        return IncrementalPage(items=items, page=page, size=size, count=count, next_updated_after=mark)

    @query(
        Permission.PLANNING_READ,
        description="Cells by id, to read again what a subscription named. Unknown ids are left out.",
        graphql_type=list[Cell],
    )
    async def planning_cells(
        self, info: Info, ids: Annotated[list[UUID], strawberry.argument(description="Up to 500 ids of cells.")]
    ) -> list[CellRow]:
        async with info.context.reads.session() as session:
            rows = {row.id: row for row in await repository.by_ids(session, at_most(ids))}
        return [rows[wanted] for wanted in dict.fromkeys(ids) if wanted in rows]


@flat
@strawberry.input(description="What to state in one cell.")
class CellInput:
    user_id: UUID = strawberry.field(description="The person.")
    project_id: UUID = strawberry.field(description="The project.")
    month: Month = strawberry.field(description="The month.")
    days: Decimal | None = strawberry.field(
        default=strawberry.UNSET,
        description="Days, 0 to 31 with two decimals at most; null clears, so that the expected days count again.",
    )
    expected_version: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="Left out: no check. Null: nothing may be stated yet. A number: the cell must be at this version.",
    )


FIGURES = frozenset(
    {
        *("__typename", "results", "index", "outcome", "problem", "problems"),
        *("type", "title", "status", "detail", "instance", "code", "errors", "path", "message"),
        *("cell", "id", "days", "stated", "expected", "actual", "source", "version", "updatedAt"),
        *("months", "month", "capacity", "load", "availability", "utilisation", "overallocated"),
        *("override", "tentative", "capacityVersion", "closed", "recomputing"),
    }
)
"""fields of a write's answer that take no more than the cells that were written and the sums of their months; with any
other, the answer is read whole"""


@strawberry.input(description="Cells to write in one call.")
class ForecastsWriteInput:
    cells: list[CellInput] = strawberry.field(description="Up to 500 cells, each at most once.")
    policy: WritePolicy = strawberry.field(
        default=WritePolicy.REJECT_EVERYTHING, description="What to do with the good cells when others are refused."
    )
    dry_run: bool = strawberry.field(
        default=False, description="Answer what the call would do, and change nothing; the key is not used up either."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="Makes it safe to send the call again: within 24 h the same key gets the first call's answer.",
    )

    def to_domain(self, key: str | None, asked: set[str]) -> forecasts.Call:
        """`asked` are the names of the fields that are selected, at any depth."""
        missing = [index for index, cell in enumerate(self.cells) if cell.days is strawberry.UNSET]
        if missing:
            message = "State the days, or null to clear the cell."
            raise invalid([FieldError(("cells", str(n), "days"), "DAYS_MISSING", message) for n in missing])
        writes = [
            CellWrite(
                index,
                CellKey(cell.user_id, cell.project_id, cell.month),
                cell.days,
                UNSET if cell.expected_version is strawberry.UNSET else cell.expected_version,
            )
            for index, cell in enumerate(self.cells)
        ]
        return forecasts.Call(
            writes,
            self.policy,
            self.dry_run,
            key,
            explained="explanation" in asked,
            whole=not asked <= FIGURES,
        )


def _of_coerced(kind: type[ForecastsWriteInput], value: Mapping[str, Any], context: Any) -> ForecastsWriteInput:
    """All is coerced already; Strawberry would work out anew for each of the cells what it is and where it stands."""
    given = {to_snake_case(name): each for name, each in value.items()}
    given["cells"] = [_CELL.from_input(CellInput, each, context) for each in value["cells"]]
    return kind(**given)


_CELL: Any = vars(CellInput)["__strawberry_definition__"]
vars(ForecastsWriteInput)["__strawberry_definition__"].from_input = _of_coerced


@strawberry.type(description="What became of one cell of the call.")
class CellResult:
    index: int = strawberry.field(description="Its place in the input, from 0.")
    outcome: CellOutcome = strawberry.field(description="Whether it was written.")
    cell: Cell | None = strawberry.field(description="The cell as it is now; null where nothing was ever stated.")
    problem: Problem | None = strawberry.field(description="Why it was not written.")


@strawberry.type(description="The result of each cell, and the months with their new totals.")
class ForecastsWritePayload(Payload):
    results: list[CellResult] = strawberry.field(
        default_factory=list, description="One for each cell, in the input's order; none where the call was refused."
    )
    months: list[PlanningMonthRef] = strawberry.field(
        default_factory=list, description="The months that were written to, by month and person, with their new totals."
    )


@strawberry.type
class Mutations:
    @mutation(
        Permission.PLANNING_WRITE,
        description="State days in up to 500 cells at once, or clear them. Members write their own cells, managers "
        "those of people of their business unit.",
        keeps_answer=False,
    )
    async def forecasts_write(self, info: Info, input: ForecastsWriteInput) -> ForecastsWritePayload:
        key = input.idempotency_key if input.idempotency_key is not None else info.context.idempotency_key
        call = input.to_domain(key, set(_names(info.selected_fields)))
        async with info.context.transaction() as tx:
            answer = await forecasts.write(tx, call)
        return ForecastsWritePayload(
            results=shown(answer.results),
            months=shown(answer.months),
            problems=shown(answer.problems),
            warnings=shown(answer.warnings),
        )


def _names(selections: Any) -> Iterator[str]:
    """Of all that is selected, at any depth."""
    for each in selections:
        if not isinstance(each, FragmentSpread | InlineFragment):
            yield each.name
        yield from _names(each.selections)
