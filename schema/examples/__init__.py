"""The example operations that GraphiQL opens with, as documents and variables ready to be run."""

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Example:
    name: str
    title: str
    explanation: str
    document: str
    variables: dict[str, Any]


def load(today: date) -> list[Example]:
    """Every example in the order of its file name; month words like {nextMarch} are filled in from `today`."""
    return [_read(path, today) for path in sorted(Path(__file__).parent.glob("*.graphql"))]


def _read(path: Path, today: date) -> Example:
    document = path.read_text(encoding="utf-8")
    title, explanation = (line.removeprefix("#").strip() for line in document.splitlines()[:2])
    variables = path.with_suffix(".variables.json")
    filled = fill_months(variables.read_text(encoding="utf-8"), today) if variables.exists() else "{}"
    return Example(path.stem, title, explanation, document, json.loads(filled))


def fill_months(text: str, today: date) -> str:
    """Says in Python what graphiql/src/months.js says to the browser; a test compares the two."""
    quarter = today.month + 2 - (today.month - 1) % 3
    words = {
        "thisMonth": _month(today.year, today.month),
        "thisYearFirst": _month(today.year, 1),
        "thisYearLast": _month(today.year, 12),
        "nextQuarterFirst": _month(today.year, quarter + 1),
        "nextQuarterLast": _month(today.year, quarter + 3),
        "nextMarch": _month(today.year + (today.month > 3), 3),
    }
    return re.sub(r"\{(\w+)\}", lambda match: words.get(match[1], match[0]), text)


def _month(year: int, month: int) -> str:
    return f"{year + (month - 1) // 12}-{(month - 1) % 12 + 1:02d}"
