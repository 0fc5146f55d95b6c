"""What makes a project's own facts right: pure checks, no session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

CODE_LENGTH = 40
NAME_LENGTH = 200

Violation = tuple[str, str, str]
"""(field, code, what to do)"""


def check(code: str, name: str, start_date: date | None, end_date: date | None) -> Iterator[Violation]:
    """Everything that is wrong with these facts; `code` and `name` come trimmed."""
    if not code or len(code) > CODE_LENGTH or not code.isprintable():
        yield "code", "INVALID_CODE", f"Give the project a code of 1 to {CODE_LENGTH} printable characters."
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        yield "name", "INVALID_NAME", f"Give the project a name of 1 to {NAME_LENGTH} printable characters."
    if start_date and end_date and end_date < start_date:
        yield "endDate", "DATES_REVERSED", f"The end ({end_date}) lies before the start ({start_date}): swap them."
