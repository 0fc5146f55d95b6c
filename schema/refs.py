"""Forward references between type modules, which never import each other: the only place that says strawberry.lazy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.projects import Project
    from schema.users import BusinessUnit, User

UserRef = Annotated["User", strawberry.lazy("schema.users")]
BusinessUnitRef = Annotated["BusinessUnit", strawberry.lazy("schema.users")]
ProjectRef = Annotated["Project", strawberry.lazy("schema.projects")]
