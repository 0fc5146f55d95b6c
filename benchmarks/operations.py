"""What is asked of every contender: the documents, their variables, and how two answers are held to be equal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

FIRST, LAST = "2026-01", "2026-12"
WRITTEN_MONTHS = [f"2027-{number:02}" for number in range(1, 13)]
"""outside the grid's range, so that writes do not change what reads answer"""

ME = "query Me { me { id email firstName lastName } }"
PROJECTS = """query Projects($page: Int!, $size: Int!) { projects(page: $page, size: $size) { items {
  id code name status startDate endDate
  assignments { id rate startDate endDate user { id firstName lastName } } } } }"""
PLANNING = """query Planning($from: Month!, $to: Month!, $page: Int!, $size: Int!) {
  planning(from: $from, to: $to, page: $page, size: $size) { items {
    user { id email firstName lastName }
    months { month capacity load cells { id days project { id code name } } } } } }"""
WRITE = """mutation Write($input: ForecastsWriteInput!) { forecastsWrite(input: $input) {
  results { index outcome cell { id days version } } months { month load } problems { code } } }"""
CHANGES = """subscription Changes($from: Month!, $to: Month!) {
  planningChanged(from: $from, to: $to) { kind cellIds monthIds } }"""

OWN_DOCUMENTS = {"small": ME, "list": PROJECTS, "grid": PLANNING, "write": WRITE}

# PostGraphile names things after the database: `rowId` (its `id` is a cursor of its own), `...List`, functions for
# pages, no wrapper object around a page, `orderBy` where ours has one order, and months as dates.
POSTGRAPHILE_DOCUMENTS = {
    "small": "query Me { me { id: rowId email firstName lastName } }",
    "list": """query Projects($page: Int!, $size: Int!) { items: projectPageList(page: $page, size: $size) {
      id: rowId code name status startDate endDate
      assignments: assignmentsList(orderBy: [START_DATE_ASC, ROW_ID_ASC]) {
        id: rowId rate startDate endDate user { id: rowId firstName lastName } } } }""",
    "grid": """query Planning($from: Date!, $to: Date!, $page: Int!, $size: Int!) {
      items: planningList(fromMonth: $from, toMonth: $to, page: $page, size: $size) {
        id: rowId email firstName lastName
        months: monthsList(fromMonth: $from, toMonth: $to) { month capacity load
          cells: cellsList(orderBy: [PROJECT_ID_ASC]) { id: rowId days project { id: rowId code name } } } } }""",
}

NAMES = {"small": "Me", "list": "Projects", "grid": "Planning", "write": "Write"}
READS = ("small", "list", "grid")
OPERATIONS = (*READS, "write", "fanout")


@dataclass(frozen=True)
class Target:
    """20 people × 2 projects × 12 months: what one connection writes."""

    cells: list[tuple[str, str, str]]

    def variables(self, days: str) -> dict[str, Any]:
        cells = [{"userId": u, "projectId": p, "month": m, "days": days} for u, p, m in self.cells]
        return {"input": {"cells": cells}}


def variables(operation: str, *, dates: bool = False) -> dict[str, Any]:
    if operation == "list":
        return {"page": 1, "size": 50}
    if operation == "grid":
        day = "-01" if dates else ""
        return {"from": FIRST + day, "to": LAST + day, "page": 1, "size": 100}
    return {}


def body(document: str, operation: str, values: dict[str, Any]) -> str:
    return json.dumps({"query": document, "operationName": NAMES[operation], "variables": values})


def as_ours(operation: str, data: dict[str, Any]) -> dict[str, Any]:
    """A PostGraphile answer in the shape of ours; nothing but its wrappers and its months changes."""
    if operation == "list":
        return {"projects": data}
    if operation == "grid":
        rows = []
        for person in data["items"]:
            months = [{**month, "month": month["month"][:7]} for month in person.pop("months")]
            rows.append({"user": person, "months": months})
        return {"planning": {"items": rows}}
    return data


def without_versions(data: dict[str, Any]) -> dict[str, Any]:
    """A write's answer without the cells' versions, which count how often each contender's turn has come."""
    for result in data["forecastsWrite"]["results"]:
        del result["cell"]["version"]
    return data


def first_difference(left: Any, right: Any, path: str = "data") -> str | None:
    """Where two answers differ first, in words; None when they are equal. Key order does not count, list order does."""
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return f"{path}: keys {sorted(left)} against {sorted(right)}"
        pairs = [(f"{path}.{key}", left[key], right[key]) for key in left]
    elif isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return f"{path}: {len(left)} items against {len(right)}"
        pairs = [(f"{path}[{n}]", a, b) for n, (a, b) in enumerate(zip(left, right, strict=True))]
    else:
        return None if left == right and type(left) is type(right) else f"{path}: {left!r} against {right!r}"
    return next((found for where, a, b in pairs if (found := first_difference(a, b, where))), None)
