"""Turns what the planning rules refuse into problems that a client can act on."""

from __future__ import annotations

from server.errors import TITLES, Problem, problem
from server.planning.domain.violations import Violation


def as_problem(violation: Violation, *path: str | int) -> Problem:
    """`path` leads to the object that the violation is about; its field follows. Codes without a title of their own
    are faults of one field, so the problem is INVALID_INPUT and the code stands at the field."""
    if violation.field is not None:
        first, *rest = violation.field.split("_")
        path = (*path, first + "".join(word.capitalize() for word in rest))
    code = violation.code.value if violation.code.value in TITLES else "INVALID_INPUT"
    return problem(code, violation.message, *path, field_code=violation.code.value)
