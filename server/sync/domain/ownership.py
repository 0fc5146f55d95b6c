"""Whose value stays where a provider gives another one than ours: what a person typed is never just overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Facts = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Settlement:
    take: dict[str, str] = field(default_factory=dict)
    conflicts: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    """field -> (ours, theirs)"""


def settle(ours: Facts, given: Facts | None, incoming: Facts) -> Settlement:
    """`given`: what the provider gave when both were last compared; None: they never were.

    A value of ours that is not the one last given was typed here. A provider that says nothing clears nothing.
    """
    settlement = Settlement()
    for name, theirs in incoming.items():
        mine, last = ours[name], (given or {}).get(name)
        if theirs is None or theirs == mine:
            continue
        if mine == last:  # both None: nobody said anything yet
            settlement.take[name] = theirs
        else:
            settlement.conflicts[name] = (mine, theirs)
    return settlement
