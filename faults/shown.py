"""What a scenario has shown: measured facts, and the promises that broke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


class NotRun(Exception):
    """This machine does not allow the fault; the message says what is missing."""


@dataclass(slots=True)
class Shown:
    facts: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    progress: Callable[[str], None] = print

    def fact(self, text: str) -> None:
        self.facts.append(text)
        self.progress(text)

    def promise(self, holds: bool, text: str) -> None:
        """`text` says what is promised, with the figure that shows it."""
        (self.facts if holds else self.broken).append(text)
        self.progress(text if holds else f"BROKEN: {text}")
