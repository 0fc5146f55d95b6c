"""The pure rules of signing in: which passwords are good enough, and how failed tries slow down the next one."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address

LONGEST_PASSWORD = 256
"""Longer ones gain nothing and cost hashing time."""

SHORTEST_NAME = 3
"""A name of two letters is in too many good passwords to be refused there."""

_COMMON_WORDS = """
password passw passwort motdepasse mdp azerty azertyuiop qwerty qwertyuiop qwertz qwertzuiop letmein welcome
bienvenue bonjour soleil admin administrator administrateur root user utilisateur test testing changeme default
secret iloveyou jetaime doudou chouchou loulou princess princesse sunshine football baseball monkey dragon master
superman batman pokemon starwars marseille paris france london summer winter spring autumn printemps automne ete
hiver company entreprise trustno access login connexion abc abcdef abcdefgh abcdefghijkl
qazwsx qazwsxedc asdfgh asdfghjkl zxcvbn zxcvbnm passwordpassword motdepassemotdepasse qwertyqwerty azertyazerty
adminadmin passw0rd p@ssword p@ssw0rd passwordadmin adminpassword
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_DIGIT_RUNS = ("0123456789" * 27, "9876543210" * 27)


def password_faults(
    password: str, *, shortest: int, classes: int, email: str | None, names: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Everything that is wrong with a new password, as (code, what to do); nothing when it is good."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        yield "PASSWORD_UNREADABLE", "Leave out control characters."
    if len(password) < shortest:
        yield "PASSWORD_TOO_SHORT", f"Use at least {shortest} characters."
    if len(password) > LONGEST_PASSWORD:
        yield "PASSWORD_TOO_LONG", f"Use at most {LONGEST_PASSWORD} characters."
        return
    if character_classes(password) < classes:
        yield (
            "PASSWORD_TOO_SIMPLE",
            f"Mix at least {classes} of: lower-case letters, upper-case letters, digits, other characters.",
        )
    if _contains_name(password, email, names):
        yield "PASSWORD_CONTAINS_NAME", "Leave your name and your e-mail address out of it."
    if is_common(password):
        yield "PASSWORD_TOO_COMMON", "This is among the first that anyone would try: choose another."


def character_classes(password: str) -> int:
    """How many of lower case, upper case, digits and others it mixes."""
    tests = (str.islower, str.isupper, str.isdigit)
    others = any(not any(test(character) for test in tests) for character in password)
    return sum(any(map(test, password)) for test in tests) + others


def is_common(password: str) -> bool:
    """One of the commonest words however it is decorated ("Password2026!"), a run of digits, or hardly any variety."""
    folded = password.casefold()
    core = folded.strip("0123456789 !?.,;:*+-_=#$%&@/()[]{}'\"<>^~|\\")
    bare = re.sub(r"[\W_]", "", folded)
    return (
        len(set(folded)) < 5
        or core in _COMMON
        or folded in _COMMON
        or bare.strip("0123456789") in _COMMON
        or (bare.isdigit() and any(bare in run for run in _DIGIT_RUNS))
    )


def _contains_name(password: str, email: str | None, names: Iterable[str]) -> bool:
    parts = [(email or "").partition("@")[0], *names]
    words = [word for part in parts for word in (part, *re.split(r"[\W_]+", part))]
    folded = password.casefold()
    return any(len(word) >= SHORTEST_NAME and word.casefold() in folded for word in words)


@dataclass(frozen=True, slots=True)
class Pace:
    """How failures of one kind slow down the next try: `free` cost nothing, then 1 s, 2 s, 4 s ... up to `longest`.

    One failure is forgotten every `forget_seconds`, so that a company behind one address is not punished for the sum
    of its people's typing mistakes.
    """

    free: int
    longest: int
    forget_seconds: int

    def remembered(self, failures: int, last: datetime, now: datetime) -> int:
        """How many of the failures still count."""
        elapsed = max(0.0, (now - last).total_seconds())
        return max(0, failures - int(elapsed // self.forget_seconds))

    def wait(self, failures: int, last: datetime, now: datetime) -> int:
        """Whole seconds until the next try is admitted; 0 when it is now."""
        over = failures - self.free
        if over < 0:
            return 0
        delay = min(self.longest, 1 << min(over, 20))
        return max(0, math.ceil(delay - (now - last).total_seconds()))


PAIR_PACE = Pace(free=5, longest=900, forget_seconds=900)
"""One account tried from one address: strict, since it is the guesser's own address that waits."""

ACCOUNT_PACE = Pace(free=10, longest=5, forget_seconds=60)
"""One account from anywhere: a few seconds at most, or a stranger could lock its owner out."""

ADDRESS_PACE = Pace(free=20, longest=900, forget_seconds=60)
"""One address whatever the account: a password tried on everyone."""


def is_searchable(username: str) -> bool:
    """Whether a typed user name can be looked for at all: PostgreSQL takes neither NUL nor lone surrogates."""
    return username.strip().isprintable()


def network_of(address: str | None) -> str:
    """What counts as one address: an IPv6 caller has a whole /64 to choose from."""
    if address is None:
        return "unknown"
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or parsed.exploded[:19])
    return str(parsed)
