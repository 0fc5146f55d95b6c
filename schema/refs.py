"""Forward references between type modules, which never import each other: the only place that says strawberry.lazy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.business_units import BusinessUnit
    from schema.planning.assignments import Assignment
    from schema.planning.cells import Cell
    from schema.planning.grid import PlanningMonth, ProjectMonth
    from schema.projects import Project
    from schema.roles import Role
    from schema.users import User

UserRef = Annotated["User", strawberry.lazy("schema.users")]
BusinessUnitRef = Annotated["BusinessUnit", strawberry.lazy("schema.business_units")]
RoleRef = Annotated["Role", strawberry.lazy("schema.roles")]
ProjectRef = Annotated["Project", strawberry.lazy("schema.projects")]
CellRef = Annotated["Cell", strawberry.lazy("schema.planning.cells")]
PlanningMonthRef = Annotated["PlanningMonth", strawberry.lazy("schema.planning.grid")]
AssignmentRef = Annotated["Assignment", strawberry.lazy("schema.planning.assignments")]
ProjectMonthRef = Annotated["ProjectMonth", strawberry.lazy("schema.planning.grid")]
