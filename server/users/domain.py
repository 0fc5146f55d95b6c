"""What makes a person's and a business unit's own facts right: pure checks, no session."""

from __future__ import annotations

import re
from collections.abc import Iterator

NAME_LENGTH = 100
EMAIL_LENGTH = 254
UNIT_CODE_LENGTH = 40
UNIT_NAME_LENGTH = 200

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
"""Only a message that arrives proves an address; a stricter pattern refuses some that work."""

Violation = tuple[str, str, str]
"""(field, code, what to do)"""


def check_person(first_name: str, last_name: str, email: str | None) -> Iterator[Violation]:
    """Everything that is wrong with these facts, which come trimmed. Some people have one name: the last."""
    if len(first_name) > NAME_LENGTH or not first_name.isprintable():
        yield "firstName", "INVALID_NAME", f"Give at most {NAME_LENGTH} printable characters as the first name."
    if not last_name or len(last_name) > NAME_LENGTH or not last_name.isprintable():
        yield "lastName", "INVALID_NAME", f"Give a last name of 1 to {NAME_LENGTH} printable characters."
    if email is not None and not (
        _EMAIL.fullmatch(email) and len(email) <= EMAIL_LENGTH and email.isprintable() and email.isascii()
    ):
        yield "email", "INVALID_EMAIL", "Give an e-mail address such as ada@example.org."


def check_unit(code: str, name: str) -> Iterator[Violation]:
    """Everything that is wrong with these facts, which come trimmed."""
    if not code or len(code) > UNIT_CODE_LENGTH or not code.isprintable():
        yield "code", "INVALID_CODE", f"Give the unit a code of 1 to {UNIT_CODE_LENGTH} printable characters."
    if not name or len(name) > UNIT_NAME_LENGTH or not name.isprintable():
        yield "name", "INVALID_NAME", f"Give the unit a name of 1 to {UNIT_NAME_LENGTH} printable characters."
